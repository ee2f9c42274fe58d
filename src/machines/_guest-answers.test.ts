import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { runTool } from '../base/process.ts'
import { guestScript, parseGuestAnswers } from './_guest-answers.ts'

const GROWN = `=== cloud-init
{
 "v1": {
  "datasource": "DataSourceNoCloud [seed=/dev/vdb][dsmode=net]",
  "errors": []
 }
}
=== services
nginx.service loaded failed failed A high performance web server
mnt-data.mount loaded failed failed /mnt/data
=== root
/dev/vda1        3939716 900000 3039716      23% /
`

const cloudInit = (text: string): unknown =>
  parseGuestAnswers(`=== cloud-init\n${text}\n`).cloudInit

test('reads what a guest says of its first boot', () => {
  assert.deepEqual(parseGuestAnswers(GROWN), {
    cloudInit: { source: 'DataSourceNoCloud [seed=/dev/vdb][dsmode=net]', errors: [] },
    failedServices: ['nginx.service', 'mnt-data.mount'],
    rootSize: 3_939_716 * 1024,
  })
})

test('reads the errors of cloud-init, and that it has none to tell or has not finished', () => {
  assert.deepEqual(cloudInit('{"v1": {"datasource": "x", "errors": ["(\'scripts_user\', 1)"]}}'), {
    source: 'x',
    errors: ['"(\'scripts_user\', 1)"'],
  })
  assert.equal(cloudInit('unfinished'), 'unfinished')
  assert.equal(cloudInit('none'), undefined)
})

test('a guest that says nonsense has said nothing', () => {
  const nothing = { cloudInit: undefined, failedServices: [], rootSize: undefined }
  for (const text of [
    '',
    'bash: sh: not found',
    '=== cloud-init\n{"v1": \n=== root\n?\n=== services\n \n',
  ])
    assert.deepEqual(parseGuestAnswers(text), nothing, text)
  fc.assert(
    fc.property(fc.string(), fc.json(), (text, json) => {
      parseGuestAnswers(text)
      parseGuestAnswers(`=== cloud-init\n${json}\n=== services\n${text}\n=== root\n${text}`)
    }),
  )
})

test('the script runs in any POSIX shell and tells the size of the root', async () => {
  const output = await runTool(['sh', '-s'], { input: guestScript(0) })
  const { rootSize } = parseGuestAnswers(output.toString())
  assert.ok(rootSize !== undefined && rootSize > 1024 * 1024)
})
