"""The record of each call: opened when it arrives, written when it ends."""
