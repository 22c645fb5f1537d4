"""Request checks and priorities that the gateway adds for engines that lack them."""
