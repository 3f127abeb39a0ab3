"""Parameter counts written out from the papers' tables, beside the number that is published.

Nothing here uses the package: it is another way to the same number. Where no source prints an
exact count, the second number is what was counted first, by hand.
"""

from __future__ import annotations

from tests.networks.published import classic, compact, inception, residual, transfer

PARAMETERS = (
    classic.PARAMETERS
    | inception.PARAMETERS
    | residual.PARAMETERS
    | compact.PARAMETERS
    | transfer.PARAMETERS
)
