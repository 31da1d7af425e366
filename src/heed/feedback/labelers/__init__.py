"""Who answers: all fit `heed.protocols.Labeler`, so that whoever asks need not know."""

# Name: module:class, resolved when used.
LABELERS = {
    "synthetic": "heed.feedback.labelers.synthetic:SyntheticLabeler",
    "human": "heed.feedback.labelers.human:HumanLabeler",
}
