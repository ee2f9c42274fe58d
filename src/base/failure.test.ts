import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asFileFailure, Failure, isFailure } from './failure.ts'
import { EXIT, FAILURES } from './failures.ts'

test('every failure has an exit code of the table and an HTTP status that says error', () => {
  const exits: number[] = [
    EXIT.failed,
    EXIT.wrongUse,
    EXIT.notFound,
    EXIT.differs,
    EXIT.interrupted,
  ]
  for (const [code, { exit, status, title }] of Object.entries(FAILURES)) {
    assert.ok(exits.includes(exit), code)
    assert.ok(status >= 400 && status < 600, code)
    assert.match(title, /^[A-Z]/, code)
  }
})

test('a failure carries what to try: its own advice, else that of the table', () => {
  assert.equal(new Failure('NO_SPACE', 'full').fix, FAILURES.NO_SPACE.fix)
  assert.equal(new Failure('NO_SPACE', 'full', { fix: 'Buy a disk.' }).fix, 'Buy a disk.')
})

test('system errors on a file become failures; failures pass through', () => {
  assert.ok(isFailure(asFileFailure(system('ENOENT'), '/a'), 'FILE_NOT_FOUND'))
  assert.ok(isFailure(asFileFailure(system('ENOSPC'), '/a'), 'NO_SPACE'))
  assert.ok(isFailure(asFileFailure(system('EACCES'), '/a'), 'FILE_UNREADABLE'))
  const failure = new Failure('IMAGE_BUSY', 'busy')
  assert.equal(asFileFailure(failure, '/a'), failure)
})

test('what no system said is a bug, and is not passed off as a bad file', () => {
  const bug = new TypeError('undefined is not a function')
  assert.equal(asFileFailure(bug, '/a'), bug)
  const wrongCall = system('ERR_INVALID_ARG_TYPE')
  assert.equal(asFileFailure(wrongCall, '/a'), wrongCall)
})

function system(code: string): Error {
  return Object.assign(new Error(`${code}: went wrong`), { code })
}
