"""Episodes on disk: as frames (`rollouts`) and as V's posteriors (`latents`)."""
