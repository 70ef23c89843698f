// Plays from Project Gutenberg.
extension DefaultCalibration {
  /// O. Wilde, An Ideal Husband (1895).
  static let idealHusband = #"""
    LADY CHILTERN. Well, what use is it to her? Why should she not have it?

    LORD GORING. [Rising.] Lady Chiltern, I will be quite frank with you. Mrs. Cheveley puts a certain construction on that \#
    letter and proposes to send it to your husband.

    LADY CHILTERN. But what construction could she put on it? . . . Oh! not that! not that! If I in—in trouble, and wanting \#
    your help, trusting you, propose to come to you . . . that you may advise me . . . assist me . . . Oh! are there women so \#
    horrible as that . . .? And she proposes to send it to my husband? Tell me what happened. Tell me all that happened.

    LORD GORING. Mrs. Cheveley was concealed in a room adjoining my library, without my knowledge. I thought that the person \#
    who was waiting in that room to see me was yourself. Robert came in unexpectedly. A chair or something fell in the room. He \#
    forced his way in, and he discovered her. We had a terrible scene. I still thought it was you. He left me in anger. At the \#
    end of everything Mrs. Cheveley got possession of your letter—she stole it, when or how, I don’t know.

    LADY CHILTERN. At what hour did this happen?

    LORD GORING. At half-past ten. And now I propose that we tell Robert the whole thing at once.

    LADY CHILTERN. [Looking at him with amazement that is almost terror.] You want me to tell Robert that the woman you \#
    expected was not Mrs. Cheveley, but myself? That it was I whom you thought was concealed in a room in your house, at \#
    half-past ten o’clock at night? You want me to tell him that?

    LORD GORING. I think it is better that he should know the exact truth.

    LADY CHILTERN. [Rising.] Oh, I couldn’t, I couldn’t!

    LORD GORING. May I do it?

    LADY CHILTERN. No.

    LORD GORING. [Gravely.] You are wrong, Lady Chiltern.

    LADY CHILTERN. No. The letter must be intercepted. That is all. But how can I do it? Letters arrive for him every moment of \#
    the day. His secretaries open them and hand them to him. I dare not ask the servants to bring me his letters. It would be \#
    impossible. Oh! why don’t you tell me what to do?

    LORD GORING. Pray be calm, Lady Chiltern, and answer the questions I am going to put to you. You said his secretaries open \#
    his letters.

    LADY CHILTERN. Yes.

    LORD GORING. Who is with him to-day? Mr. Trafford, isn’t it?

    LADY CHILTERN. No. Mr. Montford, I think.

    LORD GORING. You can trust him?

    LADY CHILTERN. [With a gesture of despair.] Oh! how do I know?

    LORD GORING. He would do what you asked him, wouldn’t he?

    LADY CHILTERN. I think so.

    LORD GORING. Your letter was on pink paper. He could recognise it without reading it, couldn’t he? By the colour?

    LADY CHILTERN. I suppose so.

    LORD GORING. Is he in the house now?

    LADY CHILTERN. Yes.

    LORD GORING. Then I will go and see him myself, and tell him that a certain letter, written on pink paper, is to be \#
    forwarded to Robert to-day, and that at all costs it must not reach him. [Goes to the door, and opens it.] Oh! Robert is \#
    coming upstairs with the letter in his hand. It has reached him already.

    LADY CHILTERN. [With a cry of pain.] Oh! you have saved his life; what have you done with mine?

    [Enter SIR ROBERT CHILTERN. He has the letter in his hand, and is reading it. He comes towards his wife, not noticing LORD \#
    GORING’S presence.]

    SIR ROBERT CHILTERN. ‘I want you. I trust you. I am coming to you. Gertrude.’ Oh, my love! Is this true? Do you indeed \#
    trust me, and want me? If so, it was for me to come to you, not for you to write of coming to me. This letter of yours, \#
    Gertrude, makes me feel that nothing that the world may do can hurt me now. You want me, Gertrude?
    """#

  /// W. Shakespeare, Henry V.
  static let henryV = #"""
    The confident and over-lusty French
    Do the low-rated English play at dice;
    And chide the cripple tardy-gaited Night
    Who, like a foul and ugly witch, doth limp
    So tediously away. The poor condemned English,
    Like sacrifices, by their watchful fires
    Sit patiently and inly ruminate
    The morning’s danger; and their gesture sad,
    Investing lank-lean cheeks and war-worn coats,
    Presented them unto the gazing moon
    So many horrid ghosts. O now, who will behold
    The royal captain of this ruin’d band
    Walking from watch to watch, from tent to tent,
    Let him cry, “Praise and glory on his head!”
    For forth he goes and visits all his host,
    Bids them good morrow with a modest smile,
    And calls them brothers, friends, and countrymen.
    Upon his royal face there is no note
    How dread an army hath enrounded him;
    Nor doth he dedicate one jot of colour
    Unto the weary and all-watched night,
    But freshly looks, and over-bears attaint
    With cheerful semblance and sweet majesty;
    That every wretch, pining and pale before,
    Beholding him, plucks comfort from his looks.
    A largess universal like the sun
    His liberal eye doth give to everyone,
    Thawing cold fear, that mean and gentle all
    Behold, as may unworthiness define,
    A little touch of Harry in the night.
    And so our scene must to the battle fly,
    Where—O for pity!—we shall much disgrace
    With four or five most vile and ragged foils,
    Right ill-dispos’d in brawl ridiculous,
    The name of Agincourt. Yet sit and see,
    Minding true things by what their mock’ries be.

    [Exit.]

    SCENE I. The English camp at Agincourt.

    Enter King Henry, Bedford and Gloucester.

    KING HENRY.
    Gloucester, ’tis true that we are in great danger;
    The greater therefore should our courage be.
    Good morrow, brother Bedford. God Almighty!
    There is some soul of goodness in things evil,
    Would men observingly distil it out;
    For our bad neighbour makes us early stirrers,
    Which is both healthful and good husbandry.
    Besides, they are our outward consciences,
    And preachers to us all, admonishing
    That we should dress us fairly for our end.
    Thus may we gather honey from the weed,
    And make a moral of the devil himself.

    Enter Erpingham.

    Good morrow, old Sir Thomas Erpingham:
    A good soft pillow for that good white head
    Were better than a churlish turf of France.

    ERPINGHAM.
    Not so, my liege; this lodging likes me better,
    Since I may say, “Now lie I like a king.”

    KING HENRY.
    ’Tis good for men to love their present pains
    Upon example; so the spirit is eased;
    And when the mind is quick’ned, out of doubt,
    The organs, though defunct and dead before,
    Break up their drowsy grave and newly move,
    With casted slough and fresh legerity.
    Lend me thy cloak, Sir Thomas. Brothers both,
    Commend me to the princes in our camp;
    Do my good morrow to them, and anon
    Desire them all to my pavilion.

    GLOUCESTER.
    We shall, my liege.

    ERPINGHAM.
    Shall I attend your Grace?

    KING HENRY.
    No, my good knight;
    Go with my brothers to my lords of England.
    I and my bosom must debate a while,
    And then I would no other company.

    ERPINGHAM.
    The Lord in heaven bless thee, noble Harry!

    [Exeunt all but King.]

    KING HENRY.
    God-a-mercy, old heart! thou speak’st cheerfully.

    Enter Pistol.

    PISTOL.
    Qui vous là?

    KING HENRY.
    A friend.

    PISTOL.
    Discuss unto me; art thou officer?
    Or art thou base, common, and popular?

    KING HENRY.
    I am a gentleman of a company.

    PISTOL.
    Trail’st thou the puissant pike?

    KING HENRY.
    Even so. What are you?

    PISTOL.
    As good a gentleman as the Emperor.

    KING HENRY.
    Then you are a better than the King.

    PISTOL.
    The King’s a bawcock, and a heart of gold,
    A lad of life, an imp of fame;
    Of parents good, of fist most valiant.
    I kiss his dirty shoe, and from heart-string
    I love the lovely bully. What is thy name?

    KING HENRY.
    Harry le Roy.

    PISTOL.
    Le Roy! a Cornish name. Art thou of Cornish crew?

    KING HENRY.
    No, I am a Welshman.

    PISTOL.
    Know’st thou Fluellen?

    KING HENRY.
    Yes.

    PISTOL.
    Tell him I’ll knock his leek about his pate
    Upon Saint Davy’s day.

    KING HENRY.
    Do not you wear your dagger in your cap that day, lest he knock that
    about yours.

    PISTOL.
    Art thou his friend?

    KING HENRY.
    And his kinsman too.

    PISTOL.
    The fico for thee, then!

    KING HENRY.
    I thank you. God be with you!

    PISTOL.
    My name is Pistol call’d.

    [Exit.]

    KING HENRY.
    It sorts well with your fierceness.

    Enter Fluellen and Gower.

    GOWER.
    Captain Fluellen!

    FLUELLEN. So! in the name of Jesu Christ, speak lower. It is the greatest admiration in the universal world, when the true \#
    and anchient prerogatifes and laws of the wars is not kept. If you would take the pains but to examine the wars of Pompey \#
    the Great, you shall find, I warrant you, that there is no tiddle taddle nor pibble pabble in Pompey’s camp. I warrant you, \#
    you shall find the ceremonies of the wars, and the cares of it, and the forms of it, and the sobriety of it, and the \#
    modesty of it, to be otherwise.

    GOWER.
    Why, the enemy is loud; you hear him all night.
    """#
}
