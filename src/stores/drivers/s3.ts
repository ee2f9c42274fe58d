import type { S3Client } from '@aws-sdk/client-s3'
import type { Readable } from 'node:stream'
import { MiB, TiB } from '../../base/units.ts'
import type { Source } from '../../bytes/source.ts'
import { Type } from '../../schema/type.ts'
import {
  defineStoreDriver,
  type DriverStore,
  type ListedObject,
  type ObjectWriter,
} from '../store.ts'
import { PartMemory, type PartTarget, planParts, writeParts } from './_part-writer.ts'
import { s3Failure } from './_s3-failure.ts'
import { type S3Options, type S3Library, openS3Client } from './_s3-client.ts'
import { streamedSource } from './_streamed-source.ts'

/** Source: Amazon S3, "Multipart upload limits": parts of an object, and its size. */
const MOST_PARTS = 10_000
const LARGEST = 5 * TiB

/** Objects in a bucket of Amazon S3, or of a server that speaks as it does. */
export const s3Driver = defineStoreDriver({
  name: 's3',
  summary: 'a bucket of Amazon S3, Ceph, MinIO, or of Swift with s3api',
  options: Type.Object(
    {
      endpoint: Type.Optional(
        Type.String({ description: 'address of the server; default: Amazon’s of the region' }),
      ),
      region: Type.Optional(Type.String({ description: 'default us-east-1' })),
      bucket: Type.String({ minLength: 1, description: 'where the objects are' }),
      create_bucket: Type.Optional(
        Type.Boolean({ description: 'make the bucket if there is none; default false' }),
      ),
      access_key: Type.String({ description: 'id of the key' }),
      secret_key: Type.String({ description: 'the key', secret: true }),
      session_token: Type.Optional(
        Type.String({ description: 'of temporary credentials', secret: true }),
      ),
      path_style: Type.Optional(
        Type.Boolean({ description: 'name the bucket in the path, not in the host; default true' }),
      ),
      prefix: Type.Optional(
        Type.String({ maxLength: 500, description: 'what the names of all objects begin with' }),
      ),
      part_size: Type.Optional(
        Type.Integer({
          minimum: 1024,
          maximum: 512 * MiB,
          description: 'bytes of the first parts of large objects; default 8 MiB, Amazon’s least 5',
        }),
      ),
      cacert: Type.Optional(Type.String({ description: 'PEM file of authorities to believe' })),
      insecure: Type.Optional(
        Type.Boolean({ description: 'believe any certificate; default false' }),
      ),
    },
    { additionalProperties: false },
  ),
  open: async (options) => {
    const { library, client } = await openS3Client(options)
    return new S3Store(library, client, options)
  },
})

class S3Store implements DriverStore {
  readonly anyOrder = false
  readonly properties: Readonly<Record<string, string | number | boolean>>
  readonly #s3: S3Library
  readonly #client: S3Client
  readonly #options: S3Options
  readonly #prefix: string
  readonly #memory = new PartMemory()

  constructor(library: S3Library, client: S3Client, options: S3Options) {
    const { endpoint = 'amazon', region = 'us-east-1', bucket, prefix = '' } = options
    this.#s3 = library
    this.#client = client
    this.#options = options
    this.#prefix = prefix
    this.properties = { endpoint, region, bucket, prefix, part_size: this.#partSize }
  }

  async create(key: string, size?: number): Promise<ObjectWriter> {
    if (this.#options.create_bucket) await this.#makeBucket()
    return writeParts(this.#partsOf(key, size), this.#memory, size)
  }

  async open(key: string): Promise<Source> {
    const { ContentLength: size = 0 } = await this.#asking(key, () =>
      this.#client.send(new this.#s3.HeadObjectCommand(this.#at(key))),
    )
    return streamedSource(key, size, async (offset, end, signal) => {
      const Range = `bytes=${offset}-${end - 1}`
      const command = new this.#s3.GetObjectCommand({ ...this.#at(key), Range })
      const { Body } = await this.#asking(key, () =>
        this.#client.send(command, { abortSignal: signal }),
      )
      return Body as Readable
    })
  }

  async remove(key: string): Promise<void> {
    await this.#asking(key, () =>
      this.#client.send(new this.#s3.DeleteObjectCommand(this.#at(key))),
    )
    for await (const upload of this.#uploads(this.#at(key).Key))
      if (upload.key === key) await this.#abort(key, upload.id)
  }

  locate(key: string): string {
    return `${this.#base}${key}`
  }

  keyOf(url: string): string | undefined {
    return url.startsWith(this.#base) ? url.slice(this.#base.length) : undefined
  }

  async *list(): AsyncGenerator<ListedObject> {
    const at = { Bucket: this.#options.bucket, Prefix: this.#prefix }
    for (let ContinuationToken: string | undefined; ;) {
      const page = await this.#asking('the bucket', () =>
        this.#client.send(new this.#s3.ListObjectsV2Command({ ...at, ContinuationToken })),
      )
      for (const { Key = '', Size: size = 0, LastModified = new Date(0) } of page.Contents ?? [])
        yield {
          key: Key.slice(this.#prefix.length),
          size,
          modifiedAt: LastModified,
          finished: true,
        }
      if (!page.IsTruncated) break
      ContinuationToken = page.NextContinuationToken
    }
    for await (const { key, id, begunAt } of this.#uploads(this.#prefix))
      yield { key, size: await this.#bytesOf(key, id), modifiedAt: begunAt, finished: false }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy()
  }

  /** What all addresses begin with. */
  get #base(): string {
    const { region = 'us-east-1', bucket } = this.#options
    const { endpoint = `https://s3.${region}.amazonaws.com` } = this.#options
    return `s3+${endpoint.replace(/\/+$/, '')}/${bucket}/${this.#prefix}`
  }

  get #partSize(): number {
    return this.#options.part_size ?? 8 * MiB
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: `${this.#prefix}${key}` }
  }

  /** What goes wrong in `work`, as a Failure; system errors fly. */
  async #asking<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw s3Failure(error, what)
    }
  }

  #partsOf(key: string, size?: number): PartTarget {
    const at = this.#at(key)
    const s3 = this.#s3
    const client = this.#client
    const etags = new Map<number, string | undefined>()
    let UploadId: string | undefined
    const asking = <T>(work: () => Promise<T>) => this.#asking(key, work)
    return {
      sizeOf: planParts(this.#partSize, MOST_PARTS, size && Math.min(size, LARGEST)),
      putWhole: async ({ bytes: Body, md5 }, abortSignal) => {
        const ContentMD5 = md5.toString('base64')
        const command = new s3.PutObjectCommand({ ...at, Body, ContentMD5 })
        await asking(() => client.send(command, { abortSignal }))
      },
      begin: async (abortSignal) => {
        const command = new s3.CreateMultipartUploadCommand(at)
        UploadId = (await asking(() => client.send(command, { abortSignal }))).UploadId
      },
      putPart: async (PartNumber, { bytes: Body, md5 }, abortSignal) => {
        const ContentMD5 = md5.toString('base64')
        const command = new s3.UploadPartCommand({ ...at, UploadId, PartNumber, Body, ContentMD5 })
        const { ETag } = await asking(() => client.send(command, { abortSignal }))
        etags.set(PartNumber, ETag)
      },
      complete: async (_size, abortSignal) => {
        const Parts = [...etags]
          .toSorted(([one], [other]) => one - other)
          .map(([PartNumber, ETag]) => ({ PartNumber, ETag }))
        const MultipartUpload = { Parts }
        const command = new s3.CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload })
        await asking(() => client.send(command, { abortSignal }))
      },
      clear: async () => {
        if (UploadId !== undefined) await this.#abort(key, UploadId)
        await this.remove(key)
      },
    }
  }

  /** Uploads that were begun and neither completed nor aborted. */
  async *#uploads(Prefix: string): AsyncGenerator<{ key: string; id: string; begunAt: Date }> {
    let markers: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {}
    for (;;) {
      const at = { Bucket: this.#options.bucket, Prefix, ...markers }
      const page = await this.#asking('the bucket', () =>
        this.#client.send(new this.#s3.ListMultipartUploadsCommand(at)),
      )
      for (const { Key = '', UploadId: id = '', Initiated = new Date(0) } of page.Uploads ?? [])
        yield { key: Key.slice(this.#prefix.length), id, begunAt: Initiated }
      if (!page.IsTruncated) return
      markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
    }
  }

  async #bytesOf(key: string, UploadId: string): Promise<number> {
    let bytes = 0
    for (let PartNumberMarker: string | undefined; ;) {
      const at = { ...this.#at(key), UploadId, PartNumberMarker }
      const page = await this.#unlessGone(key, () =>
        this.#client.send(new this.#s3.ListPartsCommand(at)),
      )
      for (const { Size = 0 } of page?.Parts ?? []) bytes += Size
      if (!page?.IsTruncated) return bytes
      PartNumberMarker = page.NextPartNumberMarker
    }
  }

  async #abort(key: string, UploadId: string): Promise<void> {
    const command = new this.#s3.AbortMultipartUploadCommand({ ...this.#at(key), UploadId })
    await this.#unlessGone(key, () => this.#client.send(command))
  }

  /** Undefined when somebody else ended the upload first. */
  async #unlessGone<T>(key: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof Error && error.name === 'NoSuchUpload') return undefined
      throw s3Failure(error, key)
    }
  }

  async #makeBucket(): Promise<void> {
    const at = { Bucket: this.#options.bucket }
    try {
      await this.#client.send(new this.#s3.HeadBucketCommand(at))
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'NotFound') throw s3Failure(error, 'bucket')
      await this.#asking('the bucket', () =>
        this.#client.send(new this.#s3.CreateBucketCommand(at)),
      )
    }
  }
}
