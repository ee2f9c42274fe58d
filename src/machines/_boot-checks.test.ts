import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GiB } from '../base/units.ts'
import { checkBoot, type Findings, isUp } from './_boot-checks.ts'
import type { BootCheck } from './boot-report.ts'
import { BootTimeline } from './boot-timeline.ts'

const LINES = {
  kernel: '[    0.0] Linux version 6.1.0\n',
  cloudInit: "Cloud-init v. 22.4.2 running 'init-local' at …\n",
  done: 'Cloud-init v. 22.4.2 finished at …\n',
  login: 'debian login: ',
}
const LOGGED_IN = { outcome: 'logged-in', stdout: '' } as const
const REFUSED = { outcome: 'refused', said: 'Permission denied (publickey).' } as const
const ANSWERS = {
  cloudInit: { source: 'NoCloud', errors: [] },
  failedServices: [],
  rootSize: 4 * GiB,
}

/** Verdicts by name, and whether the guest counts as up. */
function judge(console: string, found: Partial<Findings>): Record<string, string | boolean> {
  const timeline = new BootTimeline()
  timeline.push(Buffer.from(console), 0)
  const findings = { timeline, login: undefined, answers: undefined, imageSize: 3 * GiB, ...found }
  const checks: BootCheck[] = checkBoot(findings)
  for (const { detail } of checks) assert.ok(detail !== '')
  return {
    ...Object.fromEntries(checks.map(({ name, status }) => [name, status])),
    up: isUp(checks),
  }
}

const { kernel, cloudInit, done, login } = LINES
const good = { 'login-prompt': 'passed', 'cloud-init': 'passed', ssh: 'passed' }
const fine = { 'root-grows': 'passed', services: 'passed' }

test('a guest that did everything is up', () => {
  const found = { login: LOGGED_IN, answers: ANSWERS }
  assert.deepEqual(judge(kernel + cloudInit + login + done, found), { ...good, ...fine, up: true })
})

test('a root that did not grow and services that failed are warnings', () => {
  const answers = { ...ANSWERS, rootSize: 2 * GiB, failedServices: ['nginx.service'] }
  assert.deepEqual(judge(kernel + cloudInit + login, { login: LOGGED_IN, answers }), {
    ...good,
    'root-grows': 'warning',
    services: 'warning',
    up: true,
  })
})

test('errors of cloud-init, or a cloud-init that does not end, are failures', () => {
  const failed = { ...good, ...fine, 'cloud-init': 'failed', up: false }
  for (const state of ['unfinished', { source: 'x', errors: ['no'] }] as const) {
    const answers = { ...ANSWERS, cloudInit: state }
    assert.deepEqual(judge(kernel + cloudInit + login, { login: LOGGED_IN, answers }), failed)
  }
})

test('without cloud-init the login prompt decides, and the rest is unknown', () => {
  const unknown = { 'cloud-init': 'unknown', ssh: 'unknown' }
  const found = { login: REFUSED }
  assert.deepEqual(judge(kernel + login, found), { 'login-prompt': 'passed', ...unknown, up: true })
})

test('with cloud-init a refused key is a failure', () => {
  assert.deepEqual(judge(kernel + cloudInit + done + login, { login: REFUSED }), {
    'login-prompt': 'passed',
    'cloud-init': 'unknown',
    ssh: 'failed',
    up: false,
  })
})

test('a guest that does not use the serial console is judged by SSH', () => {
  const found = { login: LOGGED_IN, answers: ANSWERS }
  assert.deepEqual(judge('', found), { ...good, ...fine, 'login-prompt': 'unknown', up: true })
  const silentGetty = judge(kernel, found)
  assert.deepEqual([silentGetty['login-prompt'], silentGetty['up']], ['warning', true])
})

test('a guest that never came up has failed', () => {
  const { up, ...checks } = judge(kernel, {})
  assert.deepEqual(checks, { 'login-prompt': 'failed', 'cloud-init': 'unknown', ssh: 'failed' })
  assert.equal(up, false)
})
