"""`python -m ml data ingest|report|speakers`: speech from anywhere, and what is known of it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer


def ingest(
    source: Annotated[
        str | None,
        typer.Argument(help="Folder, archive, audio file, openslr:66, hf:OWNER/NAME[:CONFIG[:SPLIT]], or an address."),
    ] = None,
    source_option: Annotated[str | None, typer.Option("--source", help="The same as an option.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the clips; sources that are there stay.")] = Path("var/ingest"),
    min_seconds: Annotated[float, typer.Option(help="Shorter stretches of speech are left out.")] = 1.0,
    max_seconds: Annotated[float, typer.Option(help="Longer ones are cut where it is quietest.")] = 15.0,
    loudness: Annotated[str, typer.Option(help="rms, lufs or none.")] = "rms",
    level_db: Annotated[float, typer.Option(help="Level of every clip: dBFS RMS, or LUFS.")] = -16.0,
    min_snr_db: Annotated[float, typer.Option(help="Estimated signal-to-noise ratio that a clip must have.")] = 10.0,
    min_dnsmos: Annotated[
        float | None, typer.Option(help="DNSMOS that a clip must have; not measured by default.")
    ] = None,
    keep_duplicates: Annotated[bool, typer.Option("--keep-duplicates", help="Keep clips that sound the same.")] = False,
    speakers: Annotated[
        str, typer.Option(help="cluster by voice where the source names nobody; or source.")
    ] = "cluster",
    augment: Annotated[int, typer.Option(help="Copies of each training clip in rooms, noise, on the telephone.")] = 0,
    licence: Annotated[str, typer.Option(help="Licence of the source, for the manifest.")] = "",
    consent: Annotated[str, typer.Option(help="public, given or unknown.")] = "unknown",
    language: Annotated[str, typer.Option(help="What is spoken, for the manifest.")] = "te",
    max_files: Annotated[int, typer.Option(help="Files that a source may have.")] = 100_000,
    max_gib: Annotated[float, typer.Option(help="What may be unpacked or downloaded.")] = 50.0,
    max_items: Annotated[int, typer.Option(help="Rows of a data set, videos of a playlist.")] = 50,
    allow_private: Annotated[bool, typer.Option("--allow-private", help="Fetch from private networks too.")] = False,
    seed: Annotated[int, typer.Option(help="Of augmentation.")] = 0,
    progress_jsonl: Annotated[Path | None, typer.Option(help="Append progress to this file as JSON lines.")] = None,
) -> None:
    """Bring speech into a folder of clean clips with a manifest. Run again to go on, or to take in what is new."""
    import torch

    from ml.data.ingest import IngestError, IngestOptions
    from ml.data.ingest import ingest as run
    from ml.data.progress import shown

    given = source or source_option
    if given is None or (source and source_option):
        raise IngestError("give one source: a folder, an archive, an audio file, openslr:66, hf:NAME or an address")
    torch.set_num_threads(1)
    options = IngestOptions(
        min_seconds=min_seconds,
        max_seconds=max_seconds,
        loudness=loudness,  # type: ignore[arg-type]
        level_db=level_db,
        min_snr_db=min_snr_db,
        min_dnsmos=min_dnsmos,
        duplicates=not keep_duplicates,
        speakers=speakers,  # type: ignore[arg-type]
        augment=augment,
        licence=licence,
        consent=consent,
        language=language,
        max_files=max_files,
        max_bytes=round(max_gib * 2**30),
        max_items=max_items,
        allow_private=allow_private,
        seed=seed,
    )
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: told.append(received))
    with shown(progress_jsonl) as (tell, lines):
        report = run(given, out, options, tell, lambda: bool(told))
        lines.result({key: value for key, value in report.as_dict().items() if key != "left_out"} | {
            "left_out": len(report.left_out)
        })  # fmt: skip
    typer.echo(
        f"{report.clips} clips, {report.hours:.2f} h of {report.speakers} speakers in {out}; {report.files} files, "
        f"{report.known} of them known; {len(report.left_out)} things left out (report.json)"
    )
    if report.stopped:
        typer.echo("stopped between two files; the same command goes on")


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of an ingest or of pairs.")],
    out: Annotated[Path | None, typer.Option(help="Page to write; report.html in the folder by default.")] = None,
) -> None:
    """Draw hours, durations, noise and speakers as a page."""
    from ml.data.report import render_report, summarise

    target = out or folder / "report.html"
    target.write_text(render_report(summarise(folder)), encoding="utf-8")
    typer.echo(f"wrote {target}")


def speakers(
    ingested: Annotated[list[Path] | None, typer.Argument(help="Folders of ingests whose speakers are added.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of speaker_embeddings.json and .safetensors.")] = Path(
        "var/speakers"
    ),
    voices: Annotated[bool, typer.Option(help="Add the product's four voices (needs the speech engines).")] = True,
    sentences: Annotated[int, typer.Option(help="Sentences said by each voice.")] = 6,
    clips: Annotated[int, typer.Option(help="Clips heard of each ingested speaker, the longest first.")] = 8,
) -> None:
    """Write voice embeddings of the four voices and of ingested speakers."""
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from ml.data.corpus.loader import load_corpus
    from ml.data.speakers import ingested_speakers, product_voices, write_embeddings

    torch.set_num_threads(1)
    vectors: dict[str, NDArray[np.float32]] = {}
    about: dict[str, dict[str, object]] = {}
    if voices:
        texts = [answer.text for answer in load_corpus().answers()[:: max(1, 1400 // max(1, sentences))]][:sentences]
        vectors, about = product_voices(texts)
    for folder in ingested or []:
        more, known = ingested_speakers(folder, clips)
        vectors.update(more)
        about.update(known)
    write_embeddings(out, vectors, about)
    typer.echo(f"{len(vectors)} speakers in {out}/speaker_embeddings.json and .safetensors")
