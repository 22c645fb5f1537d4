"""The servers behind the gateway, and how a call is sent to one of them."""
