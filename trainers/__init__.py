"""The learner: YAML settings -> training -> checkpoint -> exported actor. Start at trainers/train.py."""
