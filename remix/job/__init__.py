"""Job folders: a run's recipe, schedule, journal and frames, kept so that no finished frame is ever lost."""

from remix.job.credits import credits_of, film_credits
from remix.job.identity import job_folder, prompts_that_meet, siblings
from remix.job.inputs import input_hashes, missing_pictures, workflow_path
from remix.job.job import Job, frame_path, job_texts, read_frames, read_job, recipe_of, spans
from remix.job.metadata import Made, film_texts, read_file_metadata, read_metadata
from remix.job.opening import open_job
from remix.job.reading import FRAMES, PACING, is_job

__all__ = [
    "FRAMES",
    "PACING",
    "Job",
    "Made",
    "credits_of",
    "film_credits",
    "film_texts",
    "frame_path",
    "input_hashes",
    "is_job",
    "job_folder",
    "job_texts",
    "missing_pictures",
    "open_job",
    "prompts_that_meet",
    "read_file_metadata",
    "read_frames",
    "read_job",
    "read_metadata",
    "recipe_of",
    "siblings",
    "spans",
    "workflow_path",
]
