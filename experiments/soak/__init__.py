"""A long run of gateways and engines with everything that goes wrong in production."""
