import type { Context } from '../base/context.ts'
import type { ImageChange } from '../images/catalog.ts'
import type { Image } from '../images/image.ts'
import type { Ingested } from '../images/ingest.ts'
import type { Source } from '../bytes/source.ts'
import type { ImportStep } from './step.ts'

/** What an image will say of its data. */
export interface Described {
  readonly change: Omit<ImageChange, 'status'> & { readonly properties: Image['properties'] }
  readonly attachments: Readonly<Record<string, Uint8Array>>
  readonly messages: readonly string[]
}

/** What was taken in, as the record has it. */
export function factsOf(ingested: Ingested): Omit<ImageChange, 'properties'> {
  const { size, virtualSize, diskFormat, containerFormat } = ingested
  const { checksum, hashAlgorithm, hashValue } = ingested
  return { size, virtualSize, diskFormat, containerFormat, checksum, hashAlgorithm, hashValue }
}

/** Has the steps on the record look at what stands in the store, one after the other. */
export async function describeData(
  {
    image,
    ingested,
    given,
    data,
  }: {
    readonly image: Image
    readonly ingested: Ingested
    /** Properties that came with the data. */
    readonly given: Readonly<Record<string, string>>
    readonly data: Source
  },
  {
    steps,
    options,
    roles,
  }: {
    readonly steps: readonly ImportStep[]
    readonly options: unknown
    readonly roles: readonly string[]
  },
  context: Context,
): Promise<Described> {
  const facts = factsOf(ingested)
  const messages: string[] = []
  const attachments: Record<string, Uint8Array> = {}
  if (ingested.map !== undefined) attachments['map'] = ingested.map.toBytes()
  let properties: Record<string, string> = { ...given }
  let { minDiskGiB } = image
  for (const step of steps) {
    if (step.on !== 'record') continue
    const soFar: Image = {
      ...image,
      ...facts,
      minDiskGiB,
      properties: { ...image.properties, ...properties },
    }
    const found = await step.describe(options, { image: soFar, data, roles }, context)
    properties = { ...properties, ...found.properties }
    minDiskGiB = found.minDiskGiB ?? minDiskGiB
    Object.assign(attachments, found.attachments)
    if (found.message !== undefined) messages.push(found.message)
  }
  return { change: { ...facts, minDiskGiB, properties }, attachments, messages }
}
