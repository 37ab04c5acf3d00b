"""What readers of logs share: from bytes to lines, from columns to series, from names to a Run."""
