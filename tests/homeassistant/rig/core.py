"""Home Assistant's core, on a thread of this process, with its MQTT integration and nothing else."""

import asyncio
import logging
import socket
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from . import ROOT  # noqa: F401: the import puts the packages on the path

from support import PATIENCE  # isort: skip
from support.broker import Mosquitto  # isort: skip
from homeassistant import config_entries, loader  # isort: skip
from homeassistant.auth import auth_manager_from_config  # isort: skip
from homeassistant.core import HomeAssistant, State  # isort: skip
from homeassistant.helpers import (  # isort: skip
    area_registry,
    category_registry,
    condition,
    device_registry,
    entity,
    entity_registry,
    floor_registry,
    frame,
    issue_registry,
    label_registry,
    restore_state,
    template,
    translation,
    trigger,
)
from homeassistant.helpers.storage import get_internal_store_manager  # isort: skip
from homeassistant.setup import async_setup_component  # isort: skip

REGISTRIES = (
    area_registry,
    category_registry,
    device_registry,
    entity_registry,
    floor_registry,
    issue_registry,
    label_registry,
    restore_state,
)
# Not what is asked over HTTP of this machine.
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))

T = TypeVar("T")


class Complaints(logging.Handler):
    """What Home Assistant's MQTT integration and its templates warn of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(("homeassistant.components.mqtt", "homeassistant.helpers.template")):
            self.said.append(record.getMessage())


class Core:
    """Other threads see it through the methods here. With a broker it is as after a user's first look at the MQTT
    integration: nothing is set but where the broker is."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="glanced-ha-", ignore_cleanup_errors=True)
        (Path(self._folder.name) / "configuration.yaml").touch()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._complaints = Complaints()
        self._hass: HomeAssistant | None = None

    def start(self, broker: Mosquitto | None = None) -> "Core":
        logging.getLogger().addHandler(self._complaints)
        self._thread.start()
        self._wait(self._start(broker))
        return self

    def stop(self) -> None:
        if self._hass:
            self._wait(self._hass.async_stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        logging.getLogger().removeHandler(self._complaints)
        self._folder.cleanup()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(4 * PATIENCE)

    def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Calls a function where Home Assistant's own are called."""

        async def call() -> T:
            return work(*arguments)

        return self._wait(call())

    async def _start(self, broker: Mosquitto | None) -> None:
        self._hass = hass = HomeAssistant(self._folder.name)
        hass.config.skip_pip = True
        loader.async_setup(hass)
        await loader.async_get_custom_components(hass)
        hass.config_entries = config_entries.ConfigEntries(hass, {})
        await load(hass)
        if broker:
            hass.auth = await auth_manager_from_config(hass, [{"type": "homeassistant"}], [])
            # Pictures are looked at as a browser does.
            web = {"server_host": "127.0.0.1", "server_port": free_port()}
            assert await async_setup_component(hass, "http", {"http": web})
            await hass.config_entries.async_add(entry(broker))
            await hass.async_start()

    @property
    def complaints(self) -> list[str]:
        return list(self._complaints.said)

    def states(self) -> dict[str, State]:
        return {state.entity_id: state for state in self.do(self._hass.states.async_all)}

    def state(self, entity_id: str) -> State | None:
        return self.do(self._hass.states.get, entity_id)

    def entity_id(self, unique_id: str) -> str | None:
        """How an entity is called in this home."""
        known = self.do(lambda: list(entity_registry.async_get(self._hass).entities.values()))
        return next((entry.entity_id for entry in known if entry.unique_id == unique_id), None)

    def device(self, identifier: str) -> device_registry.DeviceEntry | None:
        return next((device for device in self.devices() if ("mqtt", identifier) in device.identifiers), None)

    def devices(self) -> list[device_registry.DeviceEntry]:
        return self.do(
            lambda: list(device_registry.async_entries_for_config_entry(device_registry.async_get(self._hass), ENTRY))
        )

    def call(self, service: str, entity_id: str) -> None:
        """As a user does who touches something: `button.press`, `update.install`."""
        work = self._hass.services.async_call(*service.split("."), {"entity_id": entity_id}, blocking=True)
        self._wait(work)

    def remove_device(self, identifier: str) -> None:
        """As a user does who deletes it."""
        known = self.device(identifier)
        self.do(lambda: device_registry.async_get(self._hass).async_remove_device(known.id))

    def picture(self, entity_id: str) -> tuple[str, bytes]:
        """Its type and its bytes, as a browser gets them; nothing as long as there is none."""
        path = self.state(entity_id).attributes["entity_picture"]
        try:
            with HTTP.open(f"http://127.0.0.1:{self._hass.http.server_port}{path}", timeout=PATIENCE) as answer:
                return answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            # What it answers while no picture has come.
            assert error.code == 500, error
            return "", b""


ENTRY = "01JDC000000000000000000000"


def entry(broker: Mosquitto) -> config_entries.ConfigEntry:
    """What setting up the integration in the browser makes."""
    from homeassistant.components.mqtt.config_flow import FlowHandler

    return config_entries.ConfigEntry(
        data={"broker": "127.0.0.1", "port": broker.port, "protocol": "5"},
        discovery_keys=MappingProxyType({}),
        domain="mqtt",
        entry_id=ENTRY,
        minor_version=FlowHandler.MINOR_VERSION,
        options={},
        source=config_entries.SOURCE_USER,
        subentries_data=[],
        title="MQTT",
        unique_id=None,
        version=FlowHandler.VERSION,
    )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


async def load(hass: HomeAssistant) -> None:
    """What homeassistant.bootstrap does before any integration; itself it would want all that a home has, too."""
    for helper in (entity, frame, template, translation, device_registry):
        helper.async_setup(hass)
    # They wait for each other.
    await asyncio.gather(
        get_internal_store_manager(hass).async_initialize(),
        *(registry.async_load(hass) for registry in REGISTRIES),
        template.async_load_custom_templates(hass),
        hass.config_entries.async_initialize(),
        condition.async_setup(hass),
        trigger.async_setup(hass),
    )
