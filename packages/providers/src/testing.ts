export type {
  ProviderFixtures,
  ProviderUnderTest,
  RecordedRefusal,
  RecordedReply,
} from './testing/provider-contract.ts'
export { describeProviderContract } from './testing/provider-contract.ts'
