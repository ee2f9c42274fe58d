/**
 * Tempest’s tests of the image API and glance-tempest-plugin’s of roles, against two servers with a real Keystone:
 * none may fail, as none does against Glance. Where both come from, and what is started: `scripts/tempest`.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { runProcess } from '../../src/base/process.ts'

/** What the script ends with where there is no Tempest to run. */
const SKIPPED = 77
const HOUR_MS = 3_600_000

const skip =
  process.env['INGOT_TEST_FULL'] === '1'
    ? false
    : 'Tempest takes a quarter of an hour: INGOT_TEST_FULL=1 (make test-full)'

describe('Tempest', { skip, timeout: HOUR_MS }, () => {
  it('finds nothing that fails', { timeout: HOUR_MS }, async (t) => {
    const script = join(import.meta.dirname, '../../scripts/tempest')
    const { code, stdout, stderr } = await runProcess([script, 'all'])
    const told = stdout.toString().trim()
    if (code === SKIPPED) return t.skip(told)
    t.diagnostic(told)
    assert.equal(code, 0, `${told}\n${stderr.toString()}`)
    assert.equal(told.match(/^[1-9]\d* passed, 0 failed/gm)?.length, 2, told)
  })
})
