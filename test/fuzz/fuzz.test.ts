import assert from 'node:assert/strict'
import { it } from 'node:test'
import { fuzz } from './fuzz.ts'

const full = process.env['INGOT_TEST_FULL'] === '1'

it(
  'damaged images of every format make no parser throw, hang or grow',
  { timeout: 300_000 },
  async () => {
    const { files, answers, offences } = await fuzz({
      seconds: full ? 120 : 10,
      seed: full ? Date.now() % 2 ** 32 : 20_260,
    })
    assert.deepEqual(
      offences.map(({ what, claim }) => `${claim}: ${what}`),
      [],
    )
    assert.ok(files > 10 && answers > 5, `${files} files, ${answers} answers`)
  },
)
