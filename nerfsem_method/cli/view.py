"""`nerfsem view` opens a bundle in the browser."""

from __future__ import annotations

import threading
import webbrowser
from dataclasses import dataclass

from nerfsem_method.cli.manners import BundleIn, Device
from nerfsem_method.errors import NerfsemError


@dataclass(frozen=True)
class View:
    """Show a .nsem bundle in the browser, to walk around its object; no GPU and no nerfstudio are needed. Ctrl-C ends it.

    The bundle's filter, if it has one, sharpens the frames that decode writes, and none of these views.

    Example: nerfsem view relic.nsem
    """

    bundle: BundleIn
    port: int = 7007
    """Serve the page at this port, or at a free one where it is in use."""
    host: str = "127.0.0.1"
    """Serve it at this address; 0.0.0.0 lets other computers look, too."""
    browser: bool = True
    """Whether the page is opened at once."""
    device: Device = "auto"

    def run(self) -> None:
        """Serve until interrupted. Raises BundleError for a damaged bundle, NerfsemError when there is no viser or no port."""
        from nerfsem_method.codec import nsem

        if not 0 <= self.port < 1 << 16:
            raise NerfsemError(f"--port {self.port} is no port; give a number from 0 to 65535, 0 for a free one")
        bundle = nsem.read(self.bundle)
        try:
            from nerfsem_method.viewer.server import ViewerServer
        except ModuleNotFoundError as error:
            if error.name != "viser":
                raise
            raise NerfsemError("the viewer needs the package viser: python -m pip install 'nerfsem[view]'") from None
        try:
            server = ViewerServer(bundle, self.bundle.stem, self.device, self.host, self.port)
        except OSError as error:
            raise NerfsemError(f"cannot serve at {self.host}:{self.port} ({error.strerror}); choose another --port") from None
        address = f"http://{'localhost' if self.host in ('127.0.0.1', '0.0.0.0') else self.host}:{server.port}"
        print(f"{self.bundle.name} is shown at {address}; Ctrl-C ends it", flush=True)
        if self.browser:
            webbrowser.open(address)
        try:
            threading.Event().wait()
        finally:
            server.stop()
