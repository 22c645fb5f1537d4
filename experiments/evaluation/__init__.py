"""What the experiments of the evaluation share."""
