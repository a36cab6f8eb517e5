"""What must hold for any encoder of texts, whatever its quality: small named checks, each from a fault that was really seen."""
