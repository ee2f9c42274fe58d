import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DOMParser } from '@xmldom/xmldom'
import * as fc from 'fast-check'
import type { Report, Verdict } from './report.ts'
import { toJunit } from './write-report.ts'

const verdict: Verdict = {
  id: 'validators[0]',
  validator: 'package',
  title: 'package nginx',
  place: { file: 'web.yaml', line: 3, column: 5 },
  status: 'held',
  differences: [],
  message: undefined,
  output: undefined,
  durationMs: 1500,
  children: [],
}
const report = (verdicts: Verdict[]): Report => ({
  recipe: { name: 'web', file: 'web.yaml', digest: '' },
  target: { name: 'disk.raw', via: 'read', place: 'image' },
  facts: {
    distro: 'debian',
    family: 'debian',
    version: '12',
    codename: 'bookworm',
    prettyName: 'Debian',
    architecture: 'x86_64',
  },
  mode: 'test-only',
  args: {},
  startedAt: new Date(0),
  durationMs: 2000,
  ok: false,
  verdicts,
})

test('JUnit counts a difference as a failure, what could not be told as an error', () => {
  const difference = { what: 'package nginx', expected: 'installed', found: 'nothing' }
  const xml = toJunit([
    report([
      verdict,
      { ...verdict, id: 'validators[1]', status: 'differs', differences: [difference] },
      { ...verdict, id: 'validators[2]', status: 'unknown', message: 'needs a command' },
      { ...verdict, id: 'validators[3]', status: 'skipped', message: 'only on a running host' },
    ]),
  ])
  assert.match(
    xml,
    /<testsuite name="web on disk.raw" tests="4" failures="1" errors="1" skipped="1" time="2"/,
  )
  assert.match(xml, /<failure message="package nginx: wanted installed, found nothing">/)
  assert.match(xml, /classname="web.validators\[0\]" file="web.yaml" line="3" time="1.5"/)
})

test('whatever a guest prints, the report stays well-formed XML that says it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (output) => {
      const xml = toJunit([
        report([{ ...verdict, title: output, status: 'failed', message: output, output }]),
      ])
      const problems: string[] = []
      new DOMParser({
        onError: (level, message) => level !== 'warning' && problems.push(message),
      }).parseFromString(xml, 'text/xml')
      assert.deepEqual(problems, [])
    }),
  )
})
