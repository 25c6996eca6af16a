"""The server: the protocol's requests, each handed to the file that answers it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from legoc.lsp.completion import complete
from legoc.lsp.documents import Document, Documents
from legoc.lsp.findings import code_actions, findings
from legoc.lsp.formatting import formatted
from legoc.lsp.hover import hover
from legoc.lsp.navigation import definition
from legoc.lsp.rename import rename, renamed_range
from legoc.version import __version__
from legoc_runtime.errors import LegocError

DEBOUNCE_SECONDS = 0.15
"""How long nothing must be typed before a text is checked."""


class SpecServer:
    """The open documents, and what the editor has been told about them."""

    def __init__(self, connection: LanguageServer) -> None:
        self.connection = connection
        self.documents = Documents()
        self.told: dict[str, dict[str, list[lsp.Diagnostic]]] = {}
        self.waiting: asyncio.TimerHandle | None = None

    def opened(self, uri: str, text: str) -> None:
        """Check a text that the editor has opened."""
        self.documents.encoding = self.connection.workspace.position_encoding or lsp.PositionEncodingKind.Utf16
        self.documents.put(uri, text)
        self.publish()

    def changed(self, uri: str, text: str) -> None:
        """Check a text once it has rested."""
        self.documents.put(uri, text)
        self.cancel()
        self.waiting = asyncio.get_running_loop().call_later(DEBOUNCE_SECONDS, self.publish)

    def saved(self) -> None:
        """Check everything again: what is saved may be a base of what is open."""
        self.documents.refresh()
        self.publish()

    def closed(self, uri: str) -> None:
        """Forget a text, and take back what was said about it."""
        self.documents.close(uri)
        self.publish()

    def cancel(self) -> None:
        """Do not check what was going to be checked."""
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None

    def publish(self) -> None:
        """Tell the editor what is wrong where; a file that several open specs extend gets the findings of all."""
        self.cancel()
        before = {uri for found in self.told.values() for uri in found}
        documents = self.documents.all()
        extended = {path for document in documents for path, _ in document.bases}
        self.told = {
            document.uri: findings(document)
            for document in documents
            if document.is_ours or Path(document.name) in extended
        }
        merged: dict[str, dict[tuple[object, ...], lsp.Diagnostic]] = {uri: {} for uri in before}
        for found in self.told.values():
            for uri, diagnostics in found.items():
                kept = merged.setdefault(uri, {})
                for diagnostic in diagnostics:
                    kept.setdefault(_identity(diagnostic), diagnostic)
        for uri, kept in merged.items():
            said = lsp.PublishDiagnosticsParams(uri, list(kept.values()))
            self.connection.text_document_publish_diagnostics(said)

    def at(self, text: lsp.TextDocumentIdentifier, position: lsp.Position) -> tuple[Document, int] | None:
        """The document and the offset that a request is about."""
        document = self.documents.get(text.uri)
        return (document, document.positions.offset(position)) if document else None


def _identity(diagnostic: lsp.Diagnostic) -> tuple[object, ...]:
    """What makes two findings one for a reader; their other places depend on the spec that was being checked."""
    start, end = diagnostic.range.start, diagnostic.range.end
    return diagnostic.code, start.line, start.character, end.line, end.character, diagnostic.message


def make_server() -> LanguageServer:
    """The server, with everything that it answers; `start_io` runs it."""
    connection = LanguageServer("legoc", __version__, text_document_sync_kind=lsp.TextDocumentSyncKind.Full)
    server = SpecServer(connection)
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_no_refusal)
    _register_documents(connection, server)
    _register_questions(connection, server)
    _register_edits(connection, server)
    return connection


def _register_documents(connection: LanguageServer, server: SpecServer) -> None:
    @connection.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def _(params: lsp.DidOpenTextDocumentParams) -> None:
        server.opened(params.text_document.uri, params.text_document.text)

    @connection.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def _(params: lsp.DidChangeTextDocumentParams) -> None:
        # the server asks for whole texts; the last one is the present one
        server.changed(params.text_document.uri, params.content_changes[-1].text)

    @connection.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    def _(params: lsp.DidSaveTextDocumentParams) -> None:
        server.saved()

    @connection.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def _(params: lsp.DidCloseTextDocumentParams) -> None:
        server.closed(params.text_document.uri)


def _register_questions(connection: LanguageServer, server: SpecServer) -> None:
    @connection.feature(lsp.TEXT_DOCUMENT_HOVER)
    def _(params: lsp.HoverParams) -> lsp.Hover | None:
        at = server.at(params.text_document, params.position)
        return hover(*at) if at else None

    @connection.feature(
        lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=["$", '"', "{", " ", "/"])
    )
    def _(params: lsp.CompletionParams) -> list[lsp.CompletionItem]:
        at = server.at(params.text_document, params.position)
        return complete(*at) if at else []

    @connection.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    def _(params: lsp.DefinitionParams) -> lsp.Location | None:
        at = server.at(params.text_document, params.position)
        return definition(*at) if at else None


def _register_edits(connection: LanguageServer, server: SpecServer) -> None:
    @connection.feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)
    def _(params: lsp.PrepareRenameParams) -> lsp.Range | None:
        at = server.at(params.text_document, params.position)
        return renamed_range(*at) if at else None

    @connection.feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))
    def _(params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
        if (at := server.at(params.text_document, params.position)) is None:
            return None
        with _refusals():
            return lsp.WorkspaceEdit(changes={at[0].uri: rename(*at, params.new_name)})

    @connection.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    def _(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit] | None:
        document = server.documents.get(params.text_document.uri)
        with _refusals():
            return formatted(document) if document else None

    @connection.feature(
        lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix])
    )
    def _(params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        document = server.documents.get(params.text_document.uri)
        wanted = params.context.only is None or lsp.CodeActionKind.QuickFix in params.context.only
        return code_actions(document, params.range) if document and wanted else []


def _is_no_refusal(record: logging.LogRecord) -> bool:
    """Whether a line of pygls's log is about a fault: a refusal is an answer, and needs no traceback."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, JsonRpcInvalidParams)


@contextmanager
def _refusals() -> Generator[None]:
    """What cannot be done becomes the error that the editor shows."""
    try:
        yield
    except LegocError as error:
        raise JsonRpcInvalidParams(f"{error.message}: {error.help}" if error.help else error.message) from error
