"""What the launchpad lets through: a config class's types, and its ranges too, before a run exists.

Dagster checks a config class's types when a run is asked for, but its ranges only in the step that reads
it, when the steps before have done their hours of work. The fields made here check both when a run is asked
for: from the launchpad, the command line, a schedule or a backfill.
"""

from typing import Any, TypeVar

import dagster as dg
from pydantic import ValidationError

ConfigClass = TypeVar("ConfigClass", bound=dg.Config)


class SettingRefused(ValueError):
    """A value in a run's config that is out of range; the message names the field and the range."""


class InRange(dg.Noneable):
    """The config type of one field of a config class, which refuses what the class would refuse.

    The launchpad shows it as its inner type.
    """

    def __init__(self, inner: object, config: type[dg.Config], field: str) -> None:
        super().__init__(inner)
        self.config, self.field = config, field
        # Types of one key are one type to Dagster, and this one is no other's.
        self.key = f"{self.key}.{config.__name__}.{field}"

    def post_process(self, value: Any) -> Any:
        """The value as it is. Raises SettingRefused for one that the field does not take."""
        try:
            self.config(**{self.field: value})
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, one['loc']))}={one['input']!r}: {one['msg']}" for one in error.errors()
            )
            said = self.config.model_fields[self.field].description
            raise SettingRefused(
                f"{wrong}. Set another value, or leave {self.field} out. {self.field}: {said}"
            ) from None
        return value


def launchpad(config: type[dg.Config]) -> dict[str, dg.Field]:
    """The fields of a config class whose fields all have defaults, for `config_schema` of an asset."""
    fields = {}
    for name, field in config.to_fields_dict().items():
        kind = field.config_type
        inner = kind.inner_type if isinstance(kind, dg.Noneable) else kind
        fields[name] = dg.Field(
            InRange(inner, config, name),
            default_value=field.default_value,
            is_required=False,
            description=field.description,
        )
    return fields


def resource_in_range(resource: type[dg.ConfigurableResource[None]]) -> dg.ResourceDefinition:
    """A resource whose ranges are checked when a run is asked for, as those of an asset's config are."""

    @dg.resource(config_schema=launchpad(resource), description=resource.__doc__)
    def opened(context: dg.InitResourceContext) -> dg.ConfigurableResource[None]:
        return resource(**context.resource_config)

    return opened


def config_of(context: dg.AssetExecutionContext, config: type[ConfigClass]) -> ConfigClass:
    """What was set in the launchpad, or its defaults, of an asset with `config_schema=launchpad(config)`."""
    return config(**context.op_execution_context.op_config)
