"""The record of each call: opened when it arrives, written down when it ends."""
