/** The door for authors of parts who test them: contract suites, a scripted remote, small images. */
export { testRemoteContract } from './remote-contract.ts'
export { makeTinyImage } from './tiny-image.ts'
