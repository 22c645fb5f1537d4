"""HTTP/1.1 on asyncio protocols: callers on one side, engines on the other. Knows no API."""
