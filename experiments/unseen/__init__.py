"""Three programs that nothing was tuned on, through the whole loop on emulated engines."""
