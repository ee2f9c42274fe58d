import { MiB } from '../../base/units.ts'
import { Failure, isFailure } from '../../base/failure.ts'
import type { Source } from '../../bytes/source.ts'
import { Type } from '../../schema/type.ts'
import {
  defineStoreDriver,
  type DriverStore,
  type ListedObject,
  type ObjectWriter,
} from '../store.ts'
import { PartMemory, planParts, writeParts } from './_part-writer.ts'
import { streamedSource } from './_streamed-source.ts'
import { SwiftContainers } from './_swift-containers.ts'
import { joinSegments, type Joining, type Segment } from './_swift-manifest.ts'
import { openSwiftSession, type SwiftOptions, type SwiftSession } from './_swift-session.ts'

const text = (description: string) => Type.Optional(Type.String({ description }))

/** Objects in a container of OpenStack Swift. */
export const swiftDriver = defineStoreDriver({
  name: 'swift',
  summary: 'a container of OpenStack Swift, or of what speaks as it does',
  options: Type.Object(
    {
      auth_url: Type.String({ description: 'of Keystone; with auth_version 1 of Swift itself' }),
      auth_version: Type.Optional(
        Type.Union([Type.Literal(1), Type.Literal(3)], { description: 'default 3' }),
      ),
      username: text('with auth_version 1: account:user'),
      password: Type.Optional(Type.String({ description: 'of that user', secret: true })),
      user_domain_name: text('default Default'),
      project_name: text('whose account it is'),
      project_domain_name: text('default Default'),
      application_credential_id: text('instead of a user'),
      application_credential_secret: Type.Optional(
        Type.String({ description: 'of that', secret: true }),
      ),
      region: text('of the catalogue; default any'),
      interface: Type.Optional(
        Type.Union([Type.Literal('public'), Type.Literal('internal'), Type.Literal('admin')], {
          description: 'which endpoint of the catalogue; default public',
        }),
      ),
      storage_url: text('of the account; default what the catalogue says'),
      container: Type.String({
        pattern: '^[^/]{1,200}$',
        description: 'where the objects are; made if there is none, with one more for segments',
      }),
      prefix: Type.Optional(
        Type.String({ maxLength: 200, description: 'what the names of all objects begin with' }),
      ),
      segment_size: Type.Optional(
        Type.Integer({
          minimum: 1024,
          maximum: 512 * MiB,
          description: 'bytes of the first segments of large objects; default 16 MiB',
        }),
      ),
      cacert: text('PEM file of authorities to believe'),
      insecure: Type.Optional(
        Type.Boolean({ description: 'believe any certificate; default false' }),
      ),
    },
    { additionalProperties: false },
  ),
  open: async (options, context) =>
    new SwiftStore(await openSwiftSession(options, context), options),
})

/** Segments in one manifest at least; two levels of manifests hold the square of it. */
const MANIFEST_SEGMENTS = 1000
/** Segments of an object of unknown size, before they have grown as large as they get. */
const MOST_SEGMENTS = 10_000

class SwiftStore implements DriverStore {
  readonly anyOrder = false
  readonly properties: Readonly<Record<string, string | number | boolean>>
  readonly #session: SwiftSession
  readonly #containers: SwiftContainers
  readonly #options: SwiftOptions
  readonly #prefix: string
  readonly #memory = new PartMemory()
  readonly #segmentSize: number
  #joining: Promise<Joining> | undefined

  constructor(session: SwiftSession, options: SwiftOptions) {
    const { container, prefix = '', segment_size: size = 16 * MiB, auth_url: authUrl } = options
    this.#session = session
    this.#containers = new SwiftContainers(session, container)
    this.#options = options
    this.#prefix = prefix
    this.#segmentSize = size
    this.properties = { auth_url: authUrl, container, prefix, segment_size: size }
  }

  async create(key: string, size?: number): Promise<ObjectWriter> {
    const name = `${this.#prefix}${key}`
    const { objects, segments } = this.#containers
    const sent = new Map<number, Segment>()
    const segmentName = (number: number) => `${name}/${String(number).padStart(8, '0')}`
    return writeParts(
      {
        sizeOf: planParts(this.#segmentSize, MOST_SEGMENTS, size),
        putWhole: async ({ bytes, md5 }, signal) =>
          await this.#containers.put(objects, name, bytes, md5, signal),
        begin: async () => {},
        putPart: async (number, { bytes, md5 }, signal) => {
          const to = segmentName(number)
          await this.#containers.put(segments, to, bytes, md5, signal)
          sent.set(number, { name: to, size: bytes.length, etag: md5.toString('hex') })
        },
        complete: async (size, signal) => {
          const inOrder = [...sent].toSorted(([one], [other]) => one - other)
          const all = inOrder.map(([, segment]) => segment)
          await joinSegments(this.#containers, await this.#howToJoin(), { name, size, all, signal })
        },
        clear: async () => await this.remove(key),
      },
      this.#memory,
      size,
    )
  }

  async open(key: string): Promise<Source> {
    const path = [this.#containers.objects, `${this.#prefix}${key}`]
    const { headers } = await this.#session.ask({ method: 'HEAD', path })
    const size = Number(headers['content-length'])
    return streamedSource(key, size, async (offset, end, signal) => {
      const range = `bytes=${offset}-${end - 1}`
      const response = await this.#session.send({ path, headers: { range }, signal })
      if (response.statusCode === 206) return response
      response.destroy()
      throw new Failure('STORE_AWAY', `wanted a range of ${key}, got ${response.statusCode}`)
    })
  }

  /** The object, its segments by its manifest, and those that no manifest names. */
  async remove(key: string): Promise<void> {
    const name = `${this.#prefix}${key}`
    await this.#containers.remove(this.#containers.objects, name)
    await this.#containers.removeAll(this.#containers.segments, `${name}/`)
  }

  locate(key: string): string {
    return `${this.#base}${key}`
  }

  keyOf(url: string): string | undefined {
    return url.startsWith(this.#base) ? url.slice(this.#base.length) : undefined
  }

  async *list(): AsyncGenerator<ListedObject> {
    const parts = await this.#segmentsByKey()
    for await (const { name, size, modifiedAt } of this.#containers.list(
      this.#containers.objects,
      this.#prefix,
    )) {
      const key = name.slice(this.#prefix.length)
      // What listings say of a dynamic large object is the size of its manifest, which is nothing.
      yield { key, size: size || (parts.get(key)?.size ?? 0), modifiedAt, finished: true }
      parts.delete(key)
    }
    for (const [key, { size, modifiedAt }] of parts)
      yield { key, size, modifiedAt, finished: false }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]()
  }

  /** What all addresses begin with. */
  get #base(): string {
    const { auth_url: authUrl, storage_url: url = authUrl } = this.#options
    return `swift+${url.replace(/\/+$/, '')}/${this.#containers.objects}/${this.#prefix}`
  }

  /** Bytes in segments, by key: there may be keys without an object. */
  async #segmentsByKey(): Promise<Map<string, { size: number; modifiedAt: Date }>> {
    const found = new Map<string, { size: number; modifiedAt: Date }>()
    for await (const { name, size, modifiedAt } of this.#containers.list(
      this.#containers.segments,
      this.#prefix,
    )) {
      const key = name.slice(this.#prefix.length, name.lastIndexOf('/'))
      const known = found.get(key)
      found.set(key, {
        size: size + (known?.size ?? 0),
        modifiedAt: known?.modifiedAt ?? modifiedAt,
      })
    }
    return found
  }

  async #howToJoin(): Promise<Joining> {
    this.#joining ??= this.#askHowToJoin()
    try {
      return await this.#joining
    } catch (error) {
      this.#joining = undefined
      throw error
    }
  }

  async #askHowToJoin(): Promise<Joining> {
    try {
      const { slo, swift } = await this.#session.abilities()
      if (slo === undefined && swift !== undefined) return { kind: 'dynamic' }
      const most = Number(slo?.['max_manifest_segments'] ?? MANIFEST_SEGMENTS)
      return { kind: 'static', most: Math.min(most, MANIFEST_SEGMENTS) }
    } catch (error) {
      if (isFailure(error) || !(error instanceof SyntaxError)) throw error
      return { kind: 'static', most: MANIFEST_SEGMENTS }
    }
  }
}
