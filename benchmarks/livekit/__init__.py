"""The line on a real livekit-server: callers, server and worker in processes of their own, real RTP between them."""
