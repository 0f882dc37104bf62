"""SCIM 2.0: an identity provider's resources <-> our changes. Nothing here talks to anybody."""
