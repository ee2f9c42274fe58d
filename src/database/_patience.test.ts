import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isFailure } from '../base/failure.ts'
import { tryPatiently } from './_patience.ts'

const BUSY = new Error('busy')
const alwaysBusy = () => Promise.reject(BUSY)
const isBusy = (error: unknown) => error === BUSY

describe('trying patiently', () => {
  it('tries again while others are in the way', async () => {
    let tries = 0
    const attempt = async () => {
      if (++tries < 4) throw BUSY
      return tries
    }
    assert.equal(await tryPatiently(attempt, isBusy), 4)
  })

  it('gives up at once on what will not pass', async () => {
    let tries = 0
    const attempt = async () => {
      tries++
      throw new Error('broken')
    }
    await assert.rejects(tryPatiently(attempt, isBusy), /broken/)
    assert.equal(tries, 1)
  })

  it('says DATABASE_BUSY, and why, when patience is over', async () => {
    await assert.rejects(tryPatiently(alwaysBusy, isBusy, 20), (error) => {
      assert.ok(isFailure(error, 'DATABASE_BUSY'))
      assert.match(error.message, /for 0.02 s/)
      return error.cause === BUSY
    })
  })
})
