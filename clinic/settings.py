"""Django's settings, made from `clinic.environment`. Production has no default secret."""

from datetime import timedelta
from pathlib import Path

from celery.schedules import crontab
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.templatetags.static import static

from agent_worker.providers import has_key, read_speech_environment
from clinic.environment import mail_settings, postgres_settings, read_environment, storage_settings
from clinic.logging import logging_settings
from clinic.navigation import NAVIGATION
from clinic.secret_file import secret_from_file
from phone.livekit_settings import read_livekit_environment

ENV = read_environment()
SPEECH = read_speech_environment()
LIVEKIT = read_livekit_environment()
DEMO = ENV.mode == "demo"
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = (BASE_DIR / ENV.data_dir).resolve()
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
CLINIC_KEY_FILE = ENV.key_file or DATA_DIR / "keys.json"

# -- Who may come in -----------------------------------------------------------------------------------------
DEBUG = False
SECRET_KEY = ENV.secret_key.get_secret_value() or secret_from_file(DATA_DIR / "session-key")
ALLOWED_HOSTS = ENV.allowed_hosts
PORT = ENV.port
OWN_URL = f"http://127.0.0.1:{PORT}" if DEMO else f"https://{ALLOWED_HOSTS[0]}"
PUBLIC_URL = str(ENV.public_url or OWN_URL).rstrip("/")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
# Name and address together: nobody can lock a colleague out from elsewhere.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_VERBOSE = False

SESSION_COOKIE_AGE = int(timedelta(hours=10).total_seconds())
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEMO
SECURE_SSL_REDIRECT = not DEMO
# livekit-server calls on the same machine or network, and signs what it says.
SECURE_REDIRECT_EXEMPT = [r"^livekit/webhook/$"]
SECURE_HSTS_SECONDS = 0 if DEMO else int(timedelta(days=365).total_seconds())
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEMO
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
# Unfold's pages evaluate Alpine expressions and carry inline styles.
ADMIN_CONTENT_SECURITY_POLICY = {
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
    "img-src": [SELF, "data:"],
}

# -- What the site is made of --------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.import_export",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic",
    "django.contrib.staticfiles",
    "channels",
    "import_export",
    "phonenumber_field",
    "auditlog",
    "axes",
    "csp",
    "clinic",
    "phone",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "phone.middleware.remember_user",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "clinic.middleware.ContentSecurityPolicyMiddleware",
    "clinic.middleware.on_the_clinics_clock",
    "auditlog.middleware.AuditlogMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "clinic.urls"
ASGI_APPLICATION = "clinic.asgi.application"
WSGI_APPLICATION = "clinic.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [BASE_DIR / "static"]
# What npm installs beside the tree: the phone page's way to a LiveKit server.
LIVEKIT_CLIENT = BASE_DIR / "node_modules" / "livekit-client" / "dist"
if LIVEKIT_CLIENT.is_dir():
    STATICFILES_DIRS.append(("livekit-client", LIVEKIT_CLIENT))
STATIC_ROOT = DATA_DIR / "static"
# The demo serves what is in the tree; production what `collectstatic` has gathered, under hashed names.
SERVESTATIC_USE_FINDERS = DEMO
STORAGES = {
    "default": storage_settings(ENV),
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEMO
        else "servestatic.storage.CompressedManifestStaticFilesStorage"
    },
}
MEDIA_ROOT = DATA_DIR / "media"

# What staff change in the set-up is logged, with the change. Patients and calls have access records instead.
AUDITLOG_INCLUDE_TRACKING_MODELS = (
    "clinic.Clinic",
    "clinic.OpeningInterval",
    "clinic.Closure",
    "clinic.ClosureInterval",
    "phone.PhoneSettings",
    "phone.RetentionRules",
    "phone.Wording",
    "phone.Menu",
    "phone.MenuOption",
    "phone.DirectoryEntry",
    {
        "model": "phone.PhoneLine",
        "exclude_fields": [
            "auth_password_ciphertext",
            "auth_password_key",
            "outbound_password_ciphertext",
            "outbound_password_key",
            "trunk_id",
            "outbound_trunk_id",
            "dispatch_rule_id",
        ],
    },
    {"model": "auth.User", "exclude_fields": ["password", "last_login"], "m2m_fields": ["groups"]},
    {"model": "auth.Group", "m2m_fields": ["permissions"]},
)

# -- Where things are kept and how processes talk ------------------------------------------------------------
DATABASES = {
    "default": postgres_settings(ENV.database_url, pool=ENV.database_pool)
    if ENV.database_url
    else {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "clinic.sqlite3",
        "OPTIONS": {
            # Writers queue for up to 20 s; without IMMEDIATE two that read first would refuse each other.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # What is deleted is overwritten: it must not be found in the file afterwards.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = str(ENV.redis_url) if ENV.redis_url else ""
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}
CHANNEL_LAYERS = {
    "default": {
        # PubSub subscribes again when Redis restarts; the plain Redis layer forgets its groups.
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # Whoever tells the pages something must not hang on a Redis that does not answer.
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_connect_timeout": 2}]},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}
CELERY_BROKER_URL = REDIS_URL or "memory://localhost/"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    # A task that its worker took and never finished is handed out again after so many seconds.
    {"visibility_timeout": 900, "socket_connect_timeout": 2, "socket_keepalive": True}
    if REDIS_URL
    else {"polling_interval": 0.05}
)
# A task leaves the queue when it is done, not when it is begun; none minds being begun twice.
CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Well below the visibility timeout, or a slow task would be handed to a second worker while the first has it.
CELERY_TASK_SOFT_TIME_LIMIT, CELERY_TASK_TIME_LIMIT = 540, 600
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_BEAT_SCHEDULER = "clinic.beat:OneOwnerScheduler" if REDIS_URL else "celery.beat:Scheduler"
CELERY_BEAT_SCHEDULE: dict[str, dict[str, object]] = {
    "sign-of-life": {"task": "clinic.tasks.sign_of_life", "schedule": 30},
    "look-for-lines-without-keys": {"task": "phone.tasks.look_for_lines_without_keys", "schedule": 300},
    "check-lines": {"task": "phone.tasks.check_lines", "schedule": 60},
    "publish-due": {"task": "phone.tasks.publish_due", "schedule": 60},
    "mail-new-requests": {"task": "phone.tasks.mail_new_requests", "schedule": 60},
    "store-left-behind": {"task": "phone.tasks.store_left_behind", "schedule": 5, "options": {"expires": 10}},
    "end-stale-calls": {"task": "phone.tasks.end_stale_calls", "schedule": 30},
    "delete-marked-sounds": {"task": "phone.tasks.delete_marked_sounds", "schedule": 300},
    # UTC: night in Europe, late evening in America. It works in slices of seconds and disturbs nobody.
    "delete-what-is-due": {
        "task": "phone.tasks.delete_what_is_due",
        "schedule": crontab(hour="3", minute="30"),
    },
    "store-waiting-recordings": {"task": "phone.tasks.store_waiting_recordings", "schedule": 30},
    "tell-of-late-sounds": {"task": "phone.tasks.tell_of_late_sounds", "schedule": 300},
}
if LIVEKIT.configured:
    CELERY_BEAT_SCHEDULE["reconcile-rooms"] = {
        "task": "phone.tasks.reconcile_rooms",
        "schedule": 3,
        # What could not run in time is not made up for: the next one sees the same.
        "options": {"expires": 6},
    }

# -- The office's pages --------------------------------------------------------------------------------------
UNFOLD = {
    "SITE_TITLE": "Clinic phone",
    "SITE_HEADER": "Clinic phone",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("phone/icon.svg")}
    ],
    "DASHBOARD_CALLBACK": "phone.admin.figures.today_at_a_glance",
    "STYLES": [
        lambda request: static("office/office.css"),
        lambda request: static("office/evidence.css"),
    ],
    "SCRIPTS": [lambda request: static("office/live.js")],
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": NAVIGATION},
}

# -- Telephone -----------------------------------------------------------------------------------------------
PHONE_PAGE_ENABLED = DEMO or ENV.phone_page
PHONE_PAGE_MICROPHONE = SPEECH.stt_local or any(has_key(provider) for provider in SPEECH.stt)
RECORDING = ENV.recording
PHONE_CALLS_PER_MINUTE = ENV.phone_calls_per_minute
PHONENUMBER_DEFAULT_REGION = "US"
PHONENUMBER_DB_FORMAT = "E164"

# -- Mail, logs, language ------------------------------------------------------------------------------------
globals().update(mail_settings(ENV.smtp_url))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = ENV.mail_from
LOGGING = logging_settings(level=ENV.log_level, for_collector=not DEMO)
IMPORT_EXPORT_ESCAPE_FORMULAE_ON_EXPORT = True
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
