/** Where files of images are kept: a directory, or what begins with a prefix in a bucket. */
import { readdir, rm, rmdir, mkdir, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { Context } from '../../base/context.ts'
import { asFileFailure, Failure, isFailure, systemCode } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import { openFileSource } from '../../bytes/source.ts'
import { writeAll } from '../../bytes/sinks.ts'
import { writeWholeFile } from '../../bytes/whole-file.ts'
import { isZero } from '../../formats/zero-units.ts'
import { s3Driver } from '../../stores/drivers/s3.ts'
import type { Provider } from '../cloud-target.ts'
import type { FileCredentials, FileProviderOptions } from './_file-schemas.ts'

export type FileProvider = Provider<FileProviderOptions, FileCredentials>

/** Paths are relative, of names that `NAME` allows, and whole files only are ever seen. */
export interface Place extends AsyncDisposable {
  /** For people. */
  readonly name: string
  /** In place of what was there. */
  write(path: string, content: AsyncIterable<Uint8Array>, size: number): Promise<void>
  /** All of a small file; undefined: it is not there. */
  read(path: string): Promise<Buffer | undefined>
  /** Files below a directory, sorted. */
  list(directory: string): Promise<readonly string[]>
  /** What is there is removed, with directories that are empty then. */
  remove(path: string): Promise<void>
}

const MOST_READ = 16 * MiB

/** Fails with CONFIG_INVALID (neither or both; a directory that an order named), FILE_NOT_FOUND. */
export async function openPlace(provider: FileProvider, context: Context): Promise<Place> {
  const { name, options, isConfigured } = provider
  const { directory, bucket } = options
  if ((directory === undefined) === (bucket === undefined))
    throw new Failure('CONFIG_INVALID', `${name}: wanted a directory, or a bucket`)
  if (directory === undefined) return await openBucket(provider, context)
  if (isConfigured !== true)
    throw new Failure(
      'CONFIG_INVALID',
      `${name}: only a provider of the configuration may name a directory of this host`,
    )
  await stat(directory).catch((error: unknown) => {
    throw asFileFailure(error, directory)
  })
  return openDirectory(directory, context.newId)
}

async function guard<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

function openDirectory(root: string, newId: Context['newId']): Place {
  return {
    name: root,
    write: async (path, content, size) =>
      await guard(join(root, path), async () => {
        const target = join(root, path)
        await mkdir(dirname(target), { recursive: true })
        // Several pushes of this process may write an index at once.
        await writeWholeFile(target, `push-${newId()}`, async (file) => {
          await file.truncate(size)
          let at = 0
          for await (const chunk of content) {
            // Zeros stay holes.
            if (!isZero(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length), 0, chunk.length))
              await writeAll(file, chunk, at)
            at += chunk.length
          }
          if (at !== size) throw new RangeError(`${path}: ${at} bytes came, not ${size}`)
          await file.chmod(0o644)
        })
      }),
    read: async (path) => {
      try {
        await using source = await openFileSource(join(root, path))
        return await readSmall(source, path)
      } catch (error) {
        if (isFailure(error, 'FILE_NOT_FOUND')) return undefined
        throw error
      }
    },
    list: async (directory) =>
      await guard(root, async () => {
        try {
          const found = await readdir(join(root, directory), {
            recursive: true,
            withFileTypes: true,
          })
          return found
            .filter((entry) => entry.isFile())
            .map(({ parentPath, name }) => relative(root, join(parentPath, name)))
            .toSorted()
        } catch (error) {
          if (systemCode(error) === 'ENOENT') return []
          throw error
        }
      }),
    remove: async (path) =>
      await guard(join(root, path), async () => {
        await rm(join(root, path), { force: true })
        for (let at = dirname(path); at !== '.'; at = dirname(at)) {
          const isGone = await rmdir(join(root, at)).then(
            () => true,
            (error: unknown) => systemCode(error) === 'ENOENT',
          )
          if (!isGone) break // something else is in it
        }
      }),
    [Symbol.asyncDispose]: async () => {},
  }
}

async function openBucket(
  { name, options, credentials }: FileProvider,
  context: Context,
): Promise<Place> {
  const { bucket = '', prefix = '', endpoint, region, path_style } = options
  const { access_key, secret_key, session_token } = credentials
  if (access_key === undefined || secret_key === undefined)
    throw new Failure('CONFIG_INVALID', `${name}: a bucket needs access_key and secret_key`)
  const store = await s3Driver.open(
    {
      bucket,
      prefix,
      access_key,
      secret_key,
      ...(session_token !== undefined && { session_token }),
      ...(endpoint !== undefined && { endpoint }),
      ...(region !== undefined && { region }),
      ...(path_style !== undefined && { path_style }),
    },
    { ...context, dataDir: '.' }, // this driver keeps nothing here
  )
  return {
    name: `bucket ${bucket}`,
    write: async (path, content, size) => {
      await using writer = await store.create(path, size)
      let at = 0
      for await (const chunk of content) {
        await writer.write(at, chunk)
        at += chunk.length
      }
      await writer.finish(size)
    },
    read: async (path) => {
      try {
        await using source = await store.open(path)
        return await readSmall(source, path)
      } catch (error) {
        if (isFailure(error, 'OBJECT_NOT_FOUND')) return undefined
        throw error
      }
    },
    list: async (directory) => {
      const found: string[] = []
      for await (const { key } of store.list?.() ?? [])
        if (key.startsWith(`${directory}/`)) found.push(key)
      return [...new Set(found)].toSorted()
    },
    remove: async (path) => await store.remove(path),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}

async function readSmall(
  source: { readonly size: number; read(offset: number, length: number): Promise<Uint8Array> },
  path: string,
): Promise<Buffer> {
  if (source.size > MOST_READ)
    throw new Failure('FILE_UNREADABLE', `${path} has ${source.size} bytes, which are too many`)
  return Buffer.from(source.size === 0 ? '' : await source.read(0, source.size))
}
