"""The vision course: one small model a file, trained well by default and made sick on demand."""
