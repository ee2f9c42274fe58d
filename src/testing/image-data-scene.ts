/** What tests of the routes for data share: a server, a disk, and what alice does with it. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { after } from 'node:test'
import { runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import type { Image } from '../images/image.ts'
import { tempDir } from './temp-dir.ts'
import { openTestServer } from './test-service.ts'

export const OCTETS = { 'content-type': 'application/octet-stream' }
export const BARE_RAW = { disk_format: 'raw', container_format: 'bare' }

/** All of it, gone when the tests of the file are done. Called at the top of the file. */
export async function openImageDataScene() {
  const at = await tempDir()
  const disk = Buffer.alloc(3 * MiB)
  randomBytes(300 * KiB).copy(disk, 64 * KiB)
  disk.fill('all work and no play ', 2 * MiB, 2 * MiB + 100 * KiB)
  await writeFile(at('disk'), disk)
  const server = await openTestServer()
  after(() => server[Symbol.asyncDispose]())

  const created = async (fields: object = BARE_RAW): Promise<string> => {
    const { json } = await server.ask('POST /v2/images', {
      as: 'alice',
      body: { name: 'x', ...fields },
    })
    return json.id
  }

  const put = async (
    id: string,
    body: Buffer,
    headers: Record<string, string> = {},
    what = 'file',
  ) => {
    const all = { ...OCTETS, ...headers }
    return await server.ask(`PUT /v2/images/${id}/${what}`, { as: 'alice', body, headers: all })
  }

  const get = async (
    id: string,
    query = '',
    headers: Record<string, string> = {},
    method = 'GET',
  ) => {
    const sent = { 'x-auth-token': 'alice', ...headers }
    const answer = await fetch(`${server.url}/v2/images/${id}/file${query}`, {
      method,
      headers: sent,
    })
    return {
      status: answer.status,
      headers: answer.headers,
      bytes: Buffer.from(await answer.arrayBuffer()),
    }
  }

  const shown = async (id: string): Promise<Image> => {
    const image = await server.service.catalog.get(id)
    assert.ok(image)
    return image
  }

  /** Every object in every store, of images that are there. */
  const objects = async (): Promise<string[]> => {
    const keys: string[] = []
    for (const store of server.service.stores.all)
      for await (const { key } of store.list!()) keys.push(key)
    return keys
  }

  const uploaded = async (bytes: Buffer, fields: object = BARE_RAW): Promise<string> => {
    const id = await created(fields)
    const { status, text } = await put(id, bytes)
    assert.equal(status, 204, text)
    return id
  }

  let made: Buffer | undefined
  const qcow2 = async (): Promise<Buffer> => {
    if (made === undefined) {
      await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', at('disk'), at('qcow2')])
      made = await readFile(at('qcow2'))
    }
    return made
  }

  return { at, disk, server, created, put, get, shown, objects, uploaded, qcow2 }
}
