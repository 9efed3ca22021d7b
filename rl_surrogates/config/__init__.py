"""What a run or a question may say, and how it is read.

`schema` is the list of fields, each static or traced; `load_config` reads one run, `load_question`
one question (a sweep); everything that is wrong with a file arrives at once, as a `ConfigError`,
before anything is compiled.
"""

from rl_surrogates.config.assemble import load_question, make_question, question_of_run
from rl_surrogates.config.execution import Execution
from rl_surrogates.config.loader import load_config
from rl_surrogates.config.problems import ConfigError, Problem
from rl_surrogates.config.question import Question, Setting, question_of_plan
from rl_surrogates.config.schema import CUSTOM, Config

__all__ = [
    "CUSTOM",
    "Config",
    "ConfigError",
    "Execution",
    "Problem",
    "Question",
    "Setting",
    "load_config",
    "load_question",
    "make_question",
    "question_of_plan",
    "question_of_run",
]
