"""robotrl play: a policy at work in the browser, with hands in the scene."""
