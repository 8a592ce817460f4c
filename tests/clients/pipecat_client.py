"""pipecat's OpenAI realtime service in a whole pipeline, with barge-in: ``pipecat_client.py URL KEY QUESTION.pcm …``.

Says as one JSON object what came out of the pipeline: audio by answer, interruptions, errors.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    AudioOutput,
    InputAudioTranscription,
    SessionProperties,
    TurnDetection,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner

RATE, CHUNK = 24_000, 1920
LIMIT_S = 90
logger.remove()
logger.add(sys.stderr, level="WARNING")


class Ear(FrameProcessor):
    """The loudspeaker's place in the pipeline: answers are parted by their end or by an interruption."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[bytearray] = [bytearray()]
        self.interruptions = 0
        self.errors: list[str] = []
        self.news = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.answers[-1] += frame.audio
        elif isinstance(frame, TTSStoppedFrame | InterruptionFrame):
            self.interruptions += isinstance(frame, InterruptionFrame)
            if self.answers[-1]:
                self.answers.append(bytearray())
        elif isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
        self.news.set()
        await self.push_frame(frame, direction)

    async def until(self, ready: Any) -> None:
        while not ready():
            self.news.clear()
            await self.news.wait()


async def main(url: str, key: str, questions: list[bytes]) -> None:
    llm = OpenAIRealtimeLLMService(
        api_key=key,
        base_url=url.replace("http", "ws") + "/realtime",
        settings=OpenAIRealtimeLLMService.Settings(
            model="telugu-voice",
            session_properties=SessionProperties(
                audio=AudioConfiguration(
                    input=AudioInput(
                        transcription=InputAudioTranscription(), turn_detection=TurnDetection(silence_duration_ms=700)
                    ),
                    output=AudioOutput(voice="priya"),
                )
            ),
        ),
    )
    ear = Ear()
    context = LLMContext([{"role": "user", "content": "ఇది ఒక పరీక్ష."}])
    aggregators = LLMContextAggregatorPair(context)
    pipeline = Pipeline([aggregators.user(), llm, ear, aggregators.assistant()])
    task = PipelineWorker(pipeline, params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE))
    errors: list[str] = []

    @task.event_handler("on_pipeline_error")
    async def on_error(_: Any, frame: ErrorFrame) -> None:
        errors.append(frame.error)

    said: asyncio.Queue[bytes] = asyncio.Queue()

    async def microphone() -> None:
        loop = asyncio.get_running_loop()
        due, rest = loop.time(), b""
        while True:
            if not rest and not said.empty():
                rest = said.get_nowait()
            piece, rest = (rest[:CHUNK], rest[CHUNK:]) if rest else (bytes(CHUNK), b"")
            await task.queue_frame(InputAudioRawFrame(audio=piece, sample_rate=RATE, num_channels=1))
            due += CHUNK / 2 / RATE
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def talk() -> int:
        """Index of the answer that was spoken over."""
        mic = asyncio.create_task(microphone())
        said.put_nowait(questions[0])
        await ear.until(lambda: len(ear.answers) == 2)  # a whole answer
        said.put_nowait(questions[1])
        await ear.until(lambda: len(ear.answers[-1]) > RATE // 2)
        over = len(ear.answers) - 1
        said.put_nowait(questions[2])
        await ear.until(lambda: len(ear.answers) >= over + 3)
        mic.cancel()
        await task.queue_frame(EndFrame())
        return over

    def too_late() -> None:
        lengths = [len(answer) for answer in ear.answers]
        print(f"too late: answers {lengths}, interruptions {ear.interruptions}, {errors + ear.errors}", file=sys.stderr)
        os._exit(3)

    asyncio.get_running_loop().call_later(LIMIT_S, too_late)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(task)
    talking = asyncio.create_task(talk())
    await runner.run()
    over = await talking
    print(
        json.dumps(
            {
                "answers": [base64.b64encode(bytes(answer)).decode() for answer in ear.answers],
                "over": over,
                "interruptions": ear.interruptions,
                "errors": errors + ear.errors,
            }
        )
    )


asyncio.run(main(sys.argv[1], sys.argv[2], [Path(path).read_bytes() for path in sys.argv[3:]]))
