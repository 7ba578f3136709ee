"""Events: the array, file codecs, windows and sources."""

from i2e_deploy.events.array import EVENT_DTYPE as EVENT_DTYPE
from i2e_deploy.events.array import Events as Events
from i2e_deploy.events.array import check_events as check_events
from i2e_deploy.events.array import empty_events as empty_events
