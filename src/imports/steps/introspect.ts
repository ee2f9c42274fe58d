import type { Context } from '../../base/context.ts'
import { isFailure, messageOf } from '../../base/failure.ts'
import { GiB } from '../../base/units.ts'
import type { Source } from '../../bytes/source.ts'
import { IMAGE_FORMATS, type ImageFormat } from '../../formats/open-image.ts'
import { packageManagerOf } from '../../guests/package-manager-of.ts'
import { openReadImage } from '../../remotes/read-image.ts'
import { openRemote } from '../../remotes/open-remote.ts'
import type { Remote } from '../../remotes/remote.ts'
import type { Image } from '../../images/image.ts'
import { Type } from '../../schema/type.ts'
import type { Description, RecordStep } from '../step.ts'

/** The kind of attachment that holds the packages of a guest: JSON, an array of `IntrospectedPackage`. */
export const PACKAGES = 'packages'

export interface IntrospectedPackage {
  readonly name: string
  readonly version: string
  readonly architecture: string
}

/** No question to an image takes longer; most take milliseconds. */
const LIMIT_MS = 10_000

/**
 * Looks inside: which system it is, for which machines, with which packages. The image is read by our own parsers in
 * a thread that is bounded in time and memory; nothing of it is run or mounted. What the user said stands.
 */
export const introspect: RecordStep<unknown> = {
  on: 'record',
  name: 'introspect',
  summary: 'reads the operating system, its version and its packages from inside the image',
  options: Type.Object({}),
  describe: async (_, { image, data }, context) => {
    const { virtualSize, minDiskGiB } = image
    const isDisk = IMAGE_FORMATS.some((format) => format === image.diskFormat)
    if (!isDisk) return {}
    const needed = Math.ceil((virtualSize ?? 0) / GiB)
    const found = await lookInside(image, data, context)
    return { ...found, ...(minDiskGiB === 0 && needed > 0 && { minDiskGiB: needed }) }
  },
}

async function lookInside(image: Image, source: Source, context: Context): Promise<Description> {
  const format = image.diskFormat as ImageFormat
  const name = `image ${image.id}`
  try {
    const driver = await openReadImage({ path: name, source, format, limitMs: LIMIT_MS }, context)
    await using remote = openRemote(driver, context)
    const facts = await remote.facts()
    const properties = {
      os_type: 'linux',
      os_distro: facts.distro,
      os_version: facts.version,
      architecture: facts.architecture,
    }
    return { properties: missing(properties, image), ...(await listPackages(remote)) }
  } catch (error) {
    if (!isFailure(error) || isFailure(error, 'INTERRUPTED')) throw error
    return { message: `Not looked into: ${messageOf(error)}` }
  }
}

/** Of what was found, that which is something and that nobody has said before. */
function missing(
  found: Readonly<Record<string, string>>,
  { properties }: Image,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(found).filter(
      ([name, value]) => value !== '' && value.length <= 255 && !Object.hasOwn(properties, name),
    ),
  )
}

async function listPackages(remote: Remote): Promise<Description> {
  try {
    const manager = packageManagerOf(await remote.facts())
    const packages: IntrospectedPackage[] = (await manager.readInstalled(remote)).map(
      ({ name, version, architecture }) => ({ name, version, architecture }),
    )
    return { attachments: { [PACKAGES]: Buffer.from(JSON.stringify(packages)) } }
  } catch (error) {
    if (!isFailure(error) || isFailure(error, 'INTERRUPTED')) throw error
    return { message: `Packages not listed: ${messageOf(error)}` }
  }
}
