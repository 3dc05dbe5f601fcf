// The reference against the standards' own answers.

#include "reference.h"
#include "suites.h"

namespace keyladder::test {
namespace {

void aes() {
  // FIPS 197, appendix C.
  const Bytes plaintext = fromHex("00112233445566778899aabbccddeeff");
  const char* const ciphertexts[] = {"69c4e0d86a7b0430d8cdb78070b4c55a", "dda97ca4864cdfe06eaf70a0ec0d7191",
                                     "8ea2b7ca516745bfeafc49904b496089"};
  for (size_t i = 0; i < 3; i++) {
    Bytes key;
    for (size_t j = 0; j < 16 + 8 * i; j++) key.push_back(static_cast<uint8_t>(j));
    Block block;
    std::copy(plaintext.begin(), plaintext.end(), block.begin());
    const Block out = ReferenceAes(key).encipher(block);
    CHECK(Bytes(out.begin(), out.end()) == fromHex(ciphertexts[i]));
  }
}

// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B: test cases 1, 2, 3 to 6, 10, 16.
void gcm() {
  const std::string key = "feffe9928665731c6d6a8f9467308308";
  const std::string text =
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
  const std::string shorter = text.substr(0, 120), aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
  const std::string nonce = "cafebabefacedbaddecaf888", zero = std::string(32, '0');
  const struct {
    std::string key, nonce, aad, plaintext, sealed;
  } cases[] = {
      {zero, zero.substr(0, 24), "", "", "58e2fccefa7e3061367f1d57a4e7455a"},
      {zero, zero.substr(0, 24), "", zero, "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"},
      {key, nonce, "", text,
       "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
       "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f59854d5c2af327cd64a62cf35abd2ba6fab4"},
      {key, nonce, aad, shorter,
       "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
       "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"},
      {key, nonce.substr(0, 16), aad, shorter,
       "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423"
       "73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f45983612d2e79e3b0785561be14aaca2fccb"},
      {key,
       "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728"
       "c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b",
       aad, shorter,
       "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7"
       "01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5619cc5aefffe0bfa462af43c1699d050"},
      {key + key.substr(0, 16), nonce, aad, shorter,
       "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
       "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda27102519498e80f1478f37ba55bd6d27618c"},
      {key + key, nonce, aad, shorter,
       "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
       "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
  };
  for (const auto& c : cases) {
    const ReferenceGcm reference(fromHex(c.key));
    CHECK(reference.seal(fromHex(c.nonce), fromHex(c.aad), fromHex(c.plaintext)) == fromHex(c.sealed));
  }
}

// C2SP, XAES-256-GCM, "Test vectors".
void xaes() {
  const Bytes nonce = fromText("ABCDEFGHIJKLMNOPQRSTUVWX"), plaintext = fromText("XAES-256-GCM");
  const struct {
    uint8_t keyByte;
    const char* aad;
    const char* sealed;
  } cases[] = {{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
               {0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"}};
  for (const auto& c : cases) {
    const Bytes salt(nonce.begin(), nonce.begin() + 12), rest(nonce.begin() + 12, nonce.end());
    const ReferenceGcm reference(referenceXaesKey(Bytes(32, c.keyByte), salt));
    CHECK(reference.seal(rest, fromText(c.aad), plaintext) == fromHex(c.sealed));
  }
}

void hashes() {
  // FIPS 180-4, "abc".
  CHECK(referenceSha2(256, fromText("abc")) ==
        fromHex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
  CHECK(referenceSha2(384, fromText("abc")) ==
        fromHex("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"));
  CHECK(referenceSha2(512, fromText("abc")) ==
        fromHex("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"));
  // RFC 4231, 4.3 and 4.7.
  CHECK(referenceHmac(512, fromText("Jefe"), fromText("what do ya want for nothing?")) ==
        fromHex("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"));
  CHECK(referenceHmac(384, Bytes(131, 0xAA), fromText("Test Using Larger Than Block-Size Key - Hash Key First")) ==
        fromHex("4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952"));
  // RFC 5869, A.1 and A.3.
  const Bytes ikm(22, 0x0B);
  CHECK(referenceHkdf(256, ikm, fromHex("000102030405060708090a0b0c"), fromHex("f0f1f2f3f4f5f6f7f8f9"), 42) ==
        fromHex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"));
  CHECK(referenceHkdf(256, ikm, {}, {}, 42) ==
        fromHex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"));
}

}  // namespace

void checkKnownAnswers() {
  const Part part("the reference gives the standards' answers");
  aes();
  gcm();
  xaes();
  hashes();
}

}  // namespace keyladder::test
