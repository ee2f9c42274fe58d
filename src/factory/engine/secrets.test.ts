import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { stat, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { failsWith } from '../../testing/fails-with.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { seal, unseal } from './_seal.ts'
import { openSecretKey } from '../open-secret-key.ts'

const at = await tempDir()

describe('a sealed secret', () => {
  const key = randomBytes(32)

  it('is read by the same key and for the same image only', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const sealed = seal(key, 'image', text)
        assert.equal(unseal(key, 'image', sealed), text)
        assert.throws(() => unseal(randomBytes(32), 'image', sealed), failsWith('CONFIG_INVALID'))
        assert.throws(() => unseal(key, 'other', sealed), failsWith('CONFIG_INVALID'))
      }),
      { numRuns: 30 },
    )
  })

  it('that was changed is refused', () => {
    const sealed = seal(key, 'image', 'secret')
    for (let index = 0; index < sealed.length; index++) {
      const changed = Uint8Array.from(sealed)
      changed[index] = (changed[index] ?? 0) ^ 1
      assert.throws(() => unseal(key, 'image', changed), failsWith('CONFIG_INVALID'))
    }
    assert.throws(() => unseal(key, 'image', sealed.subarray(0, 9)), failsWith('CONFIG_INVALID'))
  })
})

describe('the key that seals', () => {
  it('is made once, for its owner only', async () => {
    const path = at('secret.key')
    const keys = await Promise.all([openSecretKey(path, true), openSecretKey(path, true)])
    assert.deepEqual(keys[0], keys[1])
    assert.equal(keys[0]?.length, 32)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.deepEqual(await openSecretKey(path, false), keys[0])
  })

  it('must be there if it is not to be made, and a key', async () => {
    await assert.rejects(openSecretKey(at('missing.key'), false), failsWith('FILE_NOT_FOUND'))
    await writeFile(at('bad.key'), 'nonsense')
    await assert.rejects(openSecretKey(at('bad.key'), true), failsWith('CONFIG_INVALID'))
  })
})
