"""How a diagnosis is shown: terminal, HTML, JSON. Renders only and computes nothing."""
