"""What the phone is measured by, beside livekit-agents' own `GetDtmfTask`: `python -m benchmarks` or `make bench`."""
