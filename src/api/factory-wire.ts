/**
 * Factory images on the wire, in both of its languages: Image Factory's own (REST API v2: `base_image` and its kin) and
 * Ingot's (`/ingot/v1/builds`). Shapes, and what makes them of a record; nothing here does anything.
 */

/** What is told of a factory image; records of the factory have it all. */
export interface ToldImage {
  readonly id: string
  readonly type: 'base' | 'target' | 'provider'
  readonly status: string
  readonly activity: string
  readonly error: string | null
  readonly percent: number
  readonly parentId: string | null
  readonly name: string | null
  readonly template: string | null
  readonly parameters: object
  readonly properties: object
  readonly builder: string | null
  readonly target: string | null
  readonly provider: string | null
  readonly identifierOnProvider: string | null
  readonly providerAccount: string | null
  readonly bodyId: string | null
  readonly owner: string | null
  readonly userId: string | null
  readonly attempts: number
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly startedAt: Date | null
  readonly endedAt: Date | null
}

/** What Image Factory calls the three types. */
export const IMAGE_FACTORY_TYPES = {
  base: { type: 'BaseImage', member: 'base_image', collection: 'base_images' },
  target: { type: 'TargetImage', member: 'target_image', collection: 'target_images' },
  provider: { type: 'ProviderImage', member: 'provider_image', collection: 'provider_images' },
} as const

/** What every type has in Image Factory. Source: its REST API v2. */
export interface ImageFactoryFields {
  readonly _type: 'BaseImage' | 'TargetImage' | 'ProviderImage'
  readonly id: string
  readonly href?: string
  readonly template: string | null
  readonly parameters: object
  readonly properties: object
  /** XML. */
  readonly icicle: string | null
  readonly status: string
  readonly status_detail: { readonly activity: string | null; readonly error: string | null }
  readonly percent_complete: number
  readonly [field: string]: unknown
}

/** `{"base_image": {…}}`, as it is answered and as callbacks bring it (they without `href`). */
export function toImageFactoryRecord(
  image: ToldImage,
  icicle: string | null,
  href?: string,
): Readonly<Record<string, ImageFactoryFields>> {
  const { type, member } = IMAGE_FACTORY_TYPES[image.type]
  const { id, template, parameters, properties, status, activity, error, percent } = image
  return {
    [member]: {
      _type: type,
      id,
      ...(href !== undefined && { href }),
      template,
      parameters,
      properties,
      icicle,
      status,
      status_detail: { activity: activity === '' ? null : activity, error },
      percent_complete: percent,
      ...fieldsOf(image),
    },
  }
}

/** What one type has beside that. */
function fieldsOf(image: ToldImage): object {
  if (image.type === 'base') return {}
  if (image.type === 'target') return { base_image_id: image.parentId, target: image.target }
  return {
    target_image_id: image.parentId,
    provider: image.provider,
    identifier_on_provider: image.identifierOnProvider,
    provider_account_identifier: image.providerAccount,
  }
}

/** `GET /ingot/v1/builds/{id}`. Times are ISO 8601. */
export interface WireBuild {
  readonly id: string
  readonly type: 'base' | 'target' | 'provider'
  readonly status: string
  readonly activity: string
  readonly error: string | null
  readonly percent: number
  readonly parent_id: string | null
  readonly name: string | null
  /** Left out in lists. */
  readonly template?: string | null
  readonly parameters: object
  readonly properties: object
  readonly builder: string | null
  readonly target: string | null
  readonly provider: string | null
  readonly identifier_on_provider: string | null
  readonly provider_account: string | null
  /** The image of the catalog that holds its body. */
  readonly image_id: string | null
  readonly owner: string | null
  readonly user_id: string | null
  readonly attempts: number
  readonly created_at: string
  readonly updated_at: string
  readonly started_at: string | null
  readonly ended_at: string | null
}

/** `GET /ingot/v1/builds`. */
export interface WireBuilds {
  readonly builds: readonly WireBuild[]
  /** The path of the next page, if there may be one. */
  readonly next?: string
}

/** One entry of a build's log. */
export interface WireLogEntry {
  readonly sequence: number
  readonly at: string
  readonly kind: 'event' | 'console' | 'output'
  readonly text: string
}

/** `GET /ingot/v1/plugins`. */
export interface WirePart {
  readonly type: 'os' | 'cloud'
  readonly name: string
  readonly aliases: readonly string[]
  readonly summary: string
  /** JSON Schemas. */
  readonly options: object
  readonly provider?: { readonly options: object; readonly credentials: object }
}

/** `GET /ingot/v1/leftovers`. */
export interface WireLeftover {
  readonly build_id: string
  readonly part: string
  readonly thing: unknown
  readonly reason: string
}

/** What is asked for by `POST /ingot/v1/builds`. */
export interface WireOrder {
  readonly type: 'base' | 'target' | 'provider'
  /** TDL or recipe; with the files that a recipe names, in base64, by their paths. */
  readonly template?: string | undefined
  readonly files?: Readonly<Record<string, string>> | undefined
  readonly builder?: string | undefined
  readonly target?: string | undefined
  /** The image to make it of: base or target image. */
  readonly parent_id?: string | undefined
  readonly provider?: string | undefined
  readonly definition?: unknown
  readonly credentials?: unknown
  readonly parameters?: object | undefined
  /** As Image Factory takes orders: unknown parameters are left alone, a template with faults makes an image that FAILED. */
  readonly lenient?: boolean
}

export function toWireBuild(image: ToldImage): WireBuild {
  return { ...toListedBuild(image), template: image.template }
}

/** As lists tell it: without the template, which may be long. */
export function toListedBuild(image: ToldImage): WireBuild {
  return {
    id: image.id,
    type: image.type,
    status: image.status,
    activity: image.activity,
    error: image.error,
    percent: image.percent,
    parent_id: image.parentId,
    name: image.name,
    parameters: image.parameters,
    properties: image.properties,
    builder: image.builder,
    target: image.target,
    provider: image.provider,
    identifier_on_provider: image.identifierOnProvider,
    provider_account: image.providerAccount,
    image_id: image.bodyId,
    owner: image.owner,
    user_id: image.userId,
    attempts: image.attempts,
    created_at: image.createdAt.toISOString(),
    updated_at: image.updatedAt.toISOString(),
    started_at: image.startedAt?.toISOString() ?? null,
    ended_at: image.endedAt?.toISOString() ?? null,
  }
}

/** Whether a build has come to its end. */
export function hasEnded({ status }: { readonly status: string }): boolean {
  return ['COMPLETE', 'FAILED', 'DELETED', 'DELETEFAILED'].includes(status)
}
