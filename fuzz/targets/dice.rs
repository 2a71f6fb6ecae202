//! Choices taken from a fuzzer's bytes: a changed byte is another choice, and where they end every choice is the first.

/// The bytes that are left.
pub struct Dice<'a>(&'a [u8]);

impl<'a> Dice<'a> {
    /// All of them.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether bytes are left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `limit`, which is no more than 256.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// One of them, or nothing.
    pub fn maybe<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = self.below(from.len() + 1);
        index.checked_sub(1).map(|index| from[index])
    }

    /// An id or nothing.
    pub fn id(&mut self, from: &[&str]) -> Option<String> {
        self.maybe(from).map(str::to_owned)
    }

    /// An amount as they occur: small, odd, large, and now and then larger than any real one.
    pub fn amount(&mut self) -> i64 {
        match self.byte() {
            0..=99 => [0, 1, 2, 3, 99, 100, 999, 1000, 2900, 119][self.below(10)],
            100..=220 => i64::from(u16::from_be_bytes([self.byte(), self.byte()])),
            221..=235 => -i64::from(self.byte()),
            236..=250 => i64::from(self.byte()) << 32,
            251 => i64::MAX,
            252 => i64::MIN,
            _ => i64::MAX / (1 + i64::from(self.byte())),
        }
    }
}
