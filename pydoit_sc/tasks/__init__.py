"""All that knows doit: loader, runner, dependency check, reporter."""
