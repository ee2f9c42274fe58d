import { IMAGE_FACTORY_TYPES, type WireBuild, type WirePart } from '../../api/factory-wire.ts'

/** An image as Image Factory prints it for programs: flat. `data` is the image of the catalog that has its body. */
export function toFlatImage(build: WireBuild, icicle: string | null): Record<string, unknown> {
  const { id, type, status, activity, error, percent, parent_id: parent } = build
  const own = {
    base: {},
    target: { base_image_id: parent, target: build.target },
    provider: {
      target_image_id: parent,
      target: build.target,
      provider: build.provider,
      identifier_on_provider: build.identifier_on_provider,
      provider_account_identifier: build.provider_account,
    },
  }
  return {
    identifier: id,
    data: build.image_id,
    template: build.template ?? null,
    icicle,
    status,
    status_detail: { activity, error },
    percent_complete: percent,
    parameters: build.parameters,
    properties: build.properties,
    type: IMAGE_FACTORY_TYPES[type].type,
    ...own[type],
  }
}

/** Whether an image has all that a FETCH_SPEC says. */
export function isFetched(flat: Record<string, unknown>, spec: Record<string, unknown>): boolean {
  return Object.entries(spec).every(
    ([key, value]) => JSON.stringify(flat[key]) === JSON.stringify(value),
  )
}

export function toPluginInfo({ type, name, aliases, summary }: WirePart) {
  const targets = type === 'os' ? [[null, null, null]] : [name, ...aliases].map((one) => [one])
  return { id: `${type}-${name}`, type, targets, description: summary }
}
