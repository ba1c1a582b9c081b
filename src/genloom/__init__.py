"""genloom: learn generative models from your own data, know honestly how good they are, ship them so that others can trust them."""

__version__ = "0.1.0"
