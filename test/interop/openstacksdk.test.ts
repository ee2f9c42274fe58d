/**
 * openstacksdk of Debian 12 (0.101) against `ingot serve`: sdk.py uses every call of its image proxy and says what it
 * saw. It has no calls for the cache, for metadata definitions, for
 * locations of the new API, and those for one member and for import methods end before they ask.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { runTool } from '../../src/base/process.ts'
import { tempDir } from '../../src/testing/temp-dir.ts'
import { noClients, PYTHON } from './_clients.ts'
import { bytes, openGround } from './_ground.ts'

const temp = await tempDir()
const skip = await noClients()
const opened = new AsyncDisposableStack()
after(() => opened.disposeAsync())

describe('openstacksdk', { skip }, () => {
  let saw: Record<string, unknown>
  const refusal = (what: string) => {
    const [status, message] = saw[what] as [number, string]
    assert.doesNotMatch(message, /Traceback|Connection/)
    return status
  }

  before(async () => {
    const { url, web } = opened.use(await openGround(temp('ground')))
    const argv = [PYTHON, join(import.meta.dirname, 'sdk.py'), url, temp('ground/disk.raw')]
    const env = { PATH: '/usr/bin:/bin', HOME: temp('') }
    const told = await runTool([...argv, `${web}/disk.raw`], { env, timeoutMs: 300_000 })
    saw = JSON.parse(told.toString()) as Record<string, unknown>
  })

  it('creates images of files and of bytes, and sends the same data once', () => {
    assert.deepEqual(saw['from file'], ['active', bytes.length, true])
    assert.deepEqual(saw['properties'], [['sdk'], 'x'])
    assert.equal(saw['from bytes'], 'active')
    assert.equal(saw['same data is not sent twice'], true)
  })

  it('downloads the very bytes', () => {
    assert.deepEqual(
      [saw['download'], saw['stream'], saw['download to a file']],
      [true, true, true],
    )
  })

  it('finds and lists', () => {
    assert.deepEqual([saw['find'], saw['find none'], saw['list']], [true, null, ['from-file']])
    assert.deepEqual(saw['in'], ['from-bytes', 'from-file'])
    assert.equal(saw['pages'], 2)
    assert.equal(refusal('get none'), 404)
  })

  it('changes fields and tags, deactivates and reactivates', () => {
    assert.deepEqual(saw['update'], ['changed', 3, 'community'])
    assert.equal(saw['property'], 'y')
    assert.deepEqual(saw['tags'], ['more'])
    assert.deepEqual([saw['deactivated'], saw['reactivated']], ['deactivated', 'active'])
  })

  it('stages and imports, fetches, copies to other stores', () => {
    assert.deepEqual(
      [saw['staged'], saw['imported'], saw['by import']],
      ['uploading', 'active', 'active'],
    )
    assert.deepEqual([saw['fetched'], saw['copied']], ['active', true])
  })

  it('shares with members', () => {
    assert.deepEqual(saw['members'], [['somebody', 'accepted']])
    assert.deepEqual([saw['member'], saw['members left']], ['accepted', 0])
  })

  it('tells stores, methods, tasks and schemas', () => {
    assert.deepEqual(saw['stores'], ['fast', 'slow', 'web'])
    assert.ok((saw['import info'] as string[]).includes('web-download'))
    assert.deepEqual(saw['task'], ['success', 'api_image_import'])
    for (const name of ['image', 'images', 'member', 'members', 'task', 'tasks'])
      assert.equal(saw[`schema ${name}`], name)
  })

  it('hears refusals in words: data twice, a wrong media type', () => {
    assert.equal(refusal('second upload'), 409)
    assert.equal(refusal('wrong type'), 415)
  })

  it('deletes all of them', () => {
    assert.equal(refusal('delete none'), 404)
    assert.equal(saw['left'], 0)
  })
})
